//! The built-in face detector: UltraFace RFB-320 with blended NMS, on one thread.

use std::sync::Arc;

use rten::{Model, RunOptions, ThreadPool};
use rten_tensor::{AsView, Layout, NdTensor};

use super::area::{PixelRect, RgbRows};
use crate::meta::{SAME_FACE, iou};

static MODEL: &[u8] = include_bytes!("../../models/ultraface-rfb-320.onnx");

/// Width and height of the network's input.
const GRID: (usize, usize) = (320, 240);
/// The network's own threshold for a face.
const MIN_SCORE: f32 = 0.7;
/// Candidates kept for the NMS, best first: bounds its quadratic time.
const MAX_CANDIDATES: usize = 1000;

/// A face found in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// x, y, w, h in pixels; may reach over the picture's border.
    pub rect: [f64; 4],
    /// 0..1.
    pub score: f32,
    /// The identity given by who found it.
    pub id: Option<u32>,
}

/// UltraFace RFB-320: faces from about 10 pixels of a 320 × 240 copy of the picture.
pub struct Detector {
    model: Model,
    options: RunOptions,
}

impl Detector {
    /// Loads the embedded network.
    ///
    /// # Errors
    /// What the inference library says against it.
    pub fn new() -> Result<Self, String> {
        let model = Model::load_static_slice(MODEL).map_err(|err| err.to_string())?;
        // A pipeline has its own threads: a pool would take the other elements' cores.
        let pool = Arc::new(ThreadPool::with_num_threads(1));
        Ok(Self { model, options: RunOptions::default().with_thread_pool(Some(pool)) })
    }

    /// Finds the faces of `picture`, best first.
    ///
    /// # Errors
    /// What the inference library says against the run.
    pub fn detect(&self, picture: &impl RgbRows) -> Result<Vec<Detection>, String> {
        let fit = Fit::new(picture.width(), picture.height());
        let input = fit.input(picture);
        let options = Some(self.options.clone());
        let output = self.model.run_one(input.view().into(), options).map_err(|e| e.to_string())?;
        let output: NdTensor<f32, 3> = output.try_into().map_err(|e| format!("{e:?}"))?;
        if output.shape()[2] != 6 {
            return Err(format!("the detector's output has shape {:?}", output.shape()));
        }
        let rows = output.to_vec();
        let candidates = rows.chunks_exact(6).filter(|row| row[1] > MIN_SCORE);
        Ok(blended_nms(candidates.map(|row| fit.detection(row)).collect()))
    }
}

/// How a picture lies in the network's input: scaled as a whole, its shape kept, the rest black.
struct Fit {
    picture: (usize, usize),
    /// Columns and rows of the input that the picture takes.
    inner: (usize, usize),
}

impl Fit {
    fn new(width: usize, height: usize) -> Self {
        let scale = (GRID.0 as f64 / width as f64).min(GRID.1 as f64 / height as f64);
        let side = |n: usize, max: usize| ((n as f64 * scale).round() as usize).clamp(1, max);
        Self { picture: (width, height), inner: (side(width, GRID.0), side(height, GRID.1)) }
    }

    /// 1 × 240 × 320 × 3, (code value - 127) / 128.
    fn input(&self, picture: &impl RgbRows) -> NdTensor<f32, 4> {
        let (columns, rows) = self.inner;
        let mut planes = Vec::new();
        let whole = PixelRect { x: 0, y: 0, w: self.picture.0, h: self.picture.1 };
        picture.average(whole, self.inner, &mut planes);
        let mut data = vec![-127.0 / 128.0; GRID.0 * GRID.1 * 3];
        for (c, plane) in planes.chunks_exact(columns * rows).enumerate() {
            for (row, values) in plane.chunks_exact(columns).enumerate() {
                let cells = data[row * GRID.0 * 3..][c..].iter_mut().step_by(3);
                cells.zip(values).for_each(|(cell, v)| *cell = (v * 255.0 - 127.0) / 128.0);
            }
        }
        NdTensor::from_data([1, GRID.1, GRID.0, 3], data)
    }

    /// From a row of the network's output: two scores, then the box's corners in 0..1.
    fn detection(&self, row: &[f32]) -> Detection {
        let x = |v: f32| f64::from(v) * (GRID.0 * self.picture.0) as f64 / self.inner.0 as f64;
        let y = |v: f32| f64::from(v) * (GRID.1 * self.picture.1) as f64 / self.inner.1 as f64;
        let (x0, y0, x1, y1) = (x(row[2]), y(row[3]), x(row[4]), y(row[5]));
        Detection { rect: [x0, y0, x1 - x0, y1 - y0], score: row[1], id: None }
    }
}

/// Boxes of one face become their score-weighted mean, which jitters less than the best of them.
fn blended_nms(mut candidates: Vec<Detection>) -> Vec<Detection> {
    candidates.retain(|c| c.rect.iter().all(|v| v.is_finite()));
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates.truncate(MAX_CANDIDATES);
    let mut faces = Vec::new();
    while let Some(best) = candidates.first().copied() {
        let (mut sum, mut weights) = ([0.0; 4], 0.0);
        candidates.retain(|c| {
            let same = c.rect == best.rect || iou(c.rect, best.rect) > SAME_FACE;
            if same {
                let weight = f64::from(c.score);
                sum.iter_mut().zip(c.rect).for_each(|(s, v)| *s += weight * v);
                weights += weight;
            }
            !same
        });
        faces.push(Detection { rect: sum.map(|s| s / weights), ..best });
    }
    faces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rect: [f64; 4], score: f32) -> Detection {
        Detection { rect, score, id: None }
    }

    #[test]
    fn boxes_of_one_face_are_blended() {
        let far = found([300.0, 0.0, 10.0, 10.0], 0.8);
        let faces = blended_nms(vec![
            found([0.0, 0.0, 100.0, 100.0], 0.75),
            far,
            found([10.0, 0.0, 100.0, 100.0], 1.0),
        ]);
        assert_eq!(faces.len(), 2);
        assert!((faces[0].rect[0] - 10.0 / 1.75).abs() < 1e-9, "{:?}", faces[0]);
        assert_eq!(faces[1], far);
    }

    #[test]
    fn wide_and_tall_pictures_keep_their_shape() {
        assert_eq!(Fit::new(640, 480).inner, (320, 240));
        assert_eq!(Fit::new(1920, 1080).inner, (320, 180));
        assert_eq!(Fit::new(480, 640).inner, (180, 240));
        assert_eq!(Fit::new(1, 1).inner, (240, 240));
        assert_eq!(Fit::new(8000, 1).inner, (320, 1));
        let rect = Fit::new(1920, 1080).detection(&[0.0, 1.0, 0.5, 0.375, 0.75, 0.75]).rect;
        assert_eq!(rect, [960.0, 540.0, 480.0, 540.0]);
    }
}
