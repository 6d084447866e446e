//! Blending into a frame, at a cost that follows from the drawn piece and not from the frame.

use gst::glib::translate::*;
use gst_video::prelude::*;
use gst_video::{VideoFormat, VideoFormatFlags, VideoFormatInfo, VideoFrameRef};

use super::paint::Ink;

type Frame<'a> = VideoFrameRef<&'a mut gst::BufferRef>;

/// Columns that start at a multiple of this start a sample in every plane.
const ALIGN: i32 = 8;

/// Blends `ink` at (x, y) into `frame`, in whatever format that is. False where GStreamer can't.
///
/// `gst_video_blend` unpacks and packs whole lines of its target; it gets a view of the columns
/// under the ink.
pub fn blend(frame: &mut Frame, ink: &Ink, x: i32, y: i32) -> bool {
    let width = frame.width() as i32;
    let left = if shiftable(frame) { (x.clamp(0, width) / ALIGN) * ALIGN } else { 0 };
    let right = if shiftable(frame) { x.saturating_add(ink.width()).min(width) } else { width };
    // A view has a whole number of chroma samples, except at the frame's own end.
    let right = right.saturating_add(ALIGN - 1) / ALIGN * ALIGN;
    let right = right.min(width);
    if right <= left {
        return true;
    }
    let Ok(source) = VideoFrameRef::from_buffer_ref_readable(&ink.buffer, &ink.info) else {
        return false;
    };
    let offsets = plane_offsets(frame, left);
    // SAFETY: the view is a copy of the mapped frame's description, used within the mapping's life
    // and never unmapped; its columns `left..right` lie within the frame's.
    unsafe {
        let mut view = std::ptr::read(frame.as_ptr());
        view.info.width = right - left;
        for (data, offset) in view.data.iter_mut().zip(offsets) {
            *data = data.cast::<u8>().wrapping_add(offset).cast();
        }
        let source = source.as_ptr().cast_mut();
        from_glib(gst_video::ffi::gst_video_blend(&mut view, source, x - left, y, 1.0))
    }
}

/// Whether `gst_video_blend` makes the right colours: it has none for palettes, and its sums
/// overflow in RGB of more than 8 bits with alpha.
pub fn is_supported(format: &VideoFormat) -> bool {
    let info = VideoFormatInfo::from_format(*format);
    let deep = info.depth().iter().any(|d| *d > 8);
    let deep_argb = deep && info.is_rgb() && info.has_alpha();
    !deep_argb && !info.has_palette()
}

/// Whether columns of the format can be addressed by whole bytes.
fn shiftable(frame: &Frame) -> bool {
    let format = frame.format_info();
    !format.flags().intersects(VideoFormatFlags::COMPLEX | VideoFormatFlags::TILED)
        && format.pixel_stride()[..format.n_components() as usize].iter().all(|s| *s > 0)
}

/// Bytes from the start of each plane's lines to column `x`, a multiple of [`ALIGN`].
fn plane_offsets(frame: &Frame, x: i32) -> [usize; 4] {
    let format = frame.format_info();
    let mut offsets = [0; 4];
    for component in 0..format.n_components() as usize {
        let column = x >> format.w_sub()[component];
        let plane = format.plane()[component] as usize;
        offsets[plane] = column as usize * format.pixel_stride()[component] as usize;
    }
    offsets
}
