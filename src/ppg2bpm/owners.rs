//! Which face a box lies on that others have marked.

use crate::meta::{Face, SAME_FACE, Status, iou};

/// The face of each of `boxes` (x, y, w, h in fractions of the frame, `None` where it marks no
/// face): each face that is not lost owns the box that overlaps it most, if they are of one face.
/// Ids don't tell, since upstream has its own.
pub fn owners<'a>(boxes: &[Option<[f64; 4]>], faces: &'a [Face]) -> Vec<Option<&'a Face>> {
    let mut owners = vec![None; boxes.len()];
    for face in faces.iter().filter(|f| f.status != Status::Lost) {
        let overlap =
            |i: usize| boxes[i].map_or(0.0, |rect| iou(clipped(rect), clipped(rect_of(face))));
        let best = (0..boxes.len()).max_by(|a, b| overlap(*a).total_cmp(&overlap(*b)));
        if let Some(best) = best.filter(|best| overlap(*best) > SAME_FACE) {
            owners[best] = Some(face);
        }
    }
    owners
}

fn rect_of(face: &Face) -> [f64; 4] {
    [face.x, face.y, face.w, face.h]
}

/// The part that lies in the frame, as regions have it.
fn clipped([x, y, w, h]: [f64; 4]) -> [f64; 4] {
    let side = |start: f64, len: f64| (start.clamp(0.0, 1.0), (start + len).clamp(0.0, 1.0));
    let ((x0, x1), (y0, y1)) = (side(x, w), side(y, h));
    [x0, y0, x1 - x0, y1 - y0]
}
