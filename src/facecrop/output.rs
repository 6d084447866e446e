//! `output=crop`: the crop as RGB video.

use gst_video::prelude::*;
use gst_video::{VideoCapsBuilder, VideoFormat, VideoFrameRef, VideoInfo};

/// The caps of crops of `side` pixels from video of `input`.
pub fn caps(input: &gst::CapsRef, side: u32) -> gst::Caps {
    let crop = VideoCapsBuilder::new()
        .format(VideoFormat::Rgb)
        .width(side as i32)
        .height(side as i32)
        .pixel_aspect_ratio(gst::Fraction::new(1, 1))
        .build();
    at_rates_of(&crop, input)
}

/// `caps` at each of the frame rates of `other`.
pub fn at_rates_of(caps: &gst::Caps, other: &gst::CapsRef) -> gst::Caps {
    let mut all = gst::Caps::new_empty();
    for s in other.iter() {
        let mut caps = caps.clone();
        if let Ok(rate) = s.value("framerate") {
            caps.make_mut().iter_mut().for_each(|c| c.set_value("framerate", rate.clone()));
        }
        all.merge(caps);
    }
    all
}

/// Rounds a planar crop of `size` × `size` in 0..1 to the bytes of an RGB frame.
pub fn write(
    pixels: &[f32],
    size: usize,
    out: &mut gst::BufferRef,
) -> Result<(), gst::glib::BoolError> {
    let info = VideoInfo::builder(VideoFormat::Rgb, size as u32, size as u32).build()?;
    let mut frame = VideoFrameRef::from_buffer_ref_writable(out, &info)?;
    let stride = frame.plane_stride()[0] as usize;
    let plane = size * size;
    for (y, row) in frame.plane_data_mut(0)?.chunks_mut(stride).take(size).enumerate() {
        for (x, rgb) in row.chunks_exact_mut(3).take(size).enumerate() {
            for (c, byte) in rgb.iter_mut().enumerate() {
                *byte = (pixels[c * plane + y * size + x] * 255.0).round() as u8;
            }
        }
    }
    Ok(())
}
