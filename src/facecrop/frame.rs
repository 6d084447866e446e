//! From GStreamer's buffers to [`Picture`]s: formats, strides, crop metas, colorimetry.

use std::slice;

use gst_video::prelude::*;
use gst_video::video_frame::IsVideoFrame;
use gst_video::{VideoColorMatrix, VideoColorRange, VideoFormat, VideoFrameRef, VideoInfo};

use super::pixels::{Colour, Picture, Plane, Samples};

/// The formats that [`Frame::picture`] reads: 8 bits a sample, up to three planes.
pub const FORMATS: [VideoFormat; 17] = [
    VideoFormat::I420,
    VideoFormat::Nv12,
    VideoFormat::Nv21,
    VideoFormat::Yv12,
    VideoFormat::Yuy2,
    VideoFormat::Uyvy,
    VideoFormat::Rgb,
    VideoFormat::Bgr,
    VideoFormat::Rgbx,
    VideoFormat::Bgrx,
    VideoFormat::Xrgb,
    VideoFormat::Xbgr,
    VideoFormat::Rgba,
    VideoFormat::Bgra,
    VideoFormat::Argb,
    VideoFormat::Abgr,
    VideoFormat::Gray8,
];

/// A buffer mapped for reading.
pub struct Frame<'a> {
    frame: VideoFrameRef<&'a gst::BufferRef>,
    origin: (usize, usize),
    size: (usize, usize),
}

impl<'a> Frame<'a> {
    /// Maps `buffer`, of the caps in `info`: only the part that its `GstVideoCropMeta` leaves.
    ///
    /// # Errors
    /// Where the buffer is too small for what its caps or its `GstVideoMeta` say.
    pub fn map(buffer: &'a gst::BufferRef, info: &VideoInfo) -> Result<Self, gst::glib::BoolError> {
        let frame = VideoFrameRef::from_buffer_ref_readable(buffer, info)?;
        if let Some(meta) = buffer.meta::<gst_video::VideoMeta>() {
            let planes = 0..frame.n_planes() as usize;
            let fits = |p: usize| {
                let end = plane_len(&frame, p).and_then(|len| len.checked_add(meta.offset()[p]));
                end.is_some_and(|end| end <= buffer.size())
            };
            if !planes.into_iter().all(fits) {
                return Err(gst::glib::bool_error!("the buffer is smaller than its video meta"));
            }
        }
        let (w, h) = (frame.width() as usize, frame.height() as usize);
        let whole = (0, 0, info.width().min(frame.width()), info.height().min(frame.height()));
        let crop = buffer.meta::<gst_video::VideoCropMeta>().map_or(whole, |crop| crop.rect());
        let (x, y) = ((crop.0 as usize).min(w), (crop.1 as usize).min(h));
        let size = ((crop.2 as usize).min(w - x), (crop.3 as usize).min(h - y));
        Ok(Self { frame, origin: (x, y), size })
    }

    /// The pixels; `None` where the format isn't one of [`FORMATS`] or nothing is left of the frame.
    pub fn picture(&self) -> Option<Picture<'_>> {
        let info = self.frame.info();
        if !FORMATS.contains(&info.format()) || self.size.0 == 0 || self.size.1 == 0 {
            return None;
        }
        let planes = (0..self.frame.n_planes() as usize).map(|p| self.plane(p));
        Picture::new(planes.collect::<Option<_>>()?, self.origin, self.size, colour(info))
    }

    fn plane(&self, p: usize) -> Option<Plane<'_>> {
        let info = self.frame.info();
        let len = plane_len(&self.frame, p)?;
        // Not `plane_data()`, whose slice goes on to the end of the last row's padding: with a
        // GstVideoMeta that may lie beyond the memory.
        let data = unsafe { slice::from_raw_parts(self.frame.as_raw().data[p].cast(), len) };
        let format = self.frame.format_info();
        let here = components(info).filter(|c| info.comp_plane(*c) as usize == p);
        let samples = here.clone().map(|c| Samples {
            component: usize::from(c),
            offset: info.comp_poffset(c) as usize,
            step: info.comp_pstride(c) as usize,
            span: 1 << format.w_sub()[usize::from(c)],
        });
        let span = here.clone().map(|c| 1 << format.h_sub()[usize::from(c)]).next()?;
        Some(Plane { data, stride: info.stride()[p] as usize, span, samples: samples.collect() })
    }
}

/// The components that carry light: not alpha.
fn components(info: &VideoInfo) -> impl Iterator<Item = u8> + Clone {
    0..info.n_components().min(3) as u8
}

/// Bytes from the first to the last sample of a plane. `None` where its stride can't be right.
fn plane_len(frame: &VideoFrameRef<&gst::BufferRef>, p: usize) -> Option<usize> {
    let info = frame.info();
    let stride = usize::try_from(info.stride()[p]).ok()?;
    let here = components(info).filter(|c| info.comp_plane(*c) as usize == p);
    let row = |c: u8| {
        let last = (info.comp_width(c) as usize).checked_sub(1)?;
        Some(last * info.comp_pstride(c) as usize + info.comp_poffset(c) as usize + 1)
    };
    let rows = here.clone().map(|c| info.comp_height(c) as usize).max()?;
    let row = here.map(row).collect::<Option<Vec<_>>>()?.into_iter().max()?;
    (row <= stride && rows > 0).then(|| (rows - 1) * stride + row)
}

/// How the samples become RGB. What the caps leave open is taken as GStreamer takes it.
fn colour(info: &VideoInfo) -> Colour {
    let colorimetry = info.colorimetry();
    let full = match colorimetry.range() {
        VideoColorRange::Range0_255 => true,
        VideoColorRange::Range16_235 => false,
        _ => !info.is_yuv(),
    };
    if info.is_gray() {
        return Colour::grey(full);
    }
    if info.is_rgb() {
        return Colour::rgb(full);
    }
    let (kr, kb) = match colorimetry.matrix() {
        VideoColorMatrix::Fcc => (0.30, 0.11),
        VideoColorMatrix::Bt709 => (0.2126, 0.0722),
        VideoColorMatrix::Bt601 => (0.299, 0.114),
        VideoColorMatrix::Smpte240m => (0.212, 0.087),
        VideoColorMatrix::Bt2020 => (0.2627, 0.0593),
        _ if info.height() > 576 => (0.2126, 0.0722),
        _ => (0.299, 0.114),
    };
    Colour::ycbcr(kr, kb, full)
}
