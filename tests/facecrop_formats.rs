//! Every pixel format, its strides, crop metas and colorimetry, against colours that are known.

use std::str::FromStr;

use gst::prelude::*;
use gst_video::{VideoColorimetry, VideoFormat, VideoFrame, VideoInfo};
use gstheartrate::meta::{FaceCrop, FaceCropMeta, Reason};

const FORMATS: [&str; 17] = [
    "RGB", "BGR", "RGBx", "BGRx", "xRGB", "xBGR", "RGBA", "BGRA", "ARGB", "ABGR", "NV12", "NV21",
    "I420", "YV12", "YUY2", "UYVY", "GRAY8",
];

fn init() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        gstheartrate::plugin_register_static().unwrap();
    });
}

fn info(format: &str, (w, h): (u32, u32), colorimetry: Option<&str>) -> VideoInfo {
    let format = VideoFormat::from_str(format).unwrap();
    let colorimetry = colorimetry.map(|c| VideoColorimetry::from_str(c).unwrap());
    VideoInfo::builder(format, w, h)
        .fps(gst::Fraction::new(30, 1))
        .colorimetry_if_some(colorimetry.as_ref())
        .build()
        .unwrap()
}

/// The whole frame as one crop of `size`.
fn whole(buffer: gst::Buffer, info: &VideoInfo, size: usize) -> FaceCrop {
    let mut h = gst_check::Harness::new_parse("facecrop detector=none");
    h.add_propose_allocation_meta(FaceCropMeta::meta_api(), Some(&FaceCropMeta::proposal(size)));
    h.set_src_caps(info.to_caps().unwrap());
    let out = h.push_and_pull(buffer).unwrap();
    let faces = out.meta::<FaceCropMeta>().unwrap().faces().to_vec();
    assert_eq!(faces.len(), 1);
    assert_eq!((faces[0].id, faces[0].size), (1, size));
    faces[0].clone()
}

/// An RGB frame of `colour(x, y)` converted to `to` by GStreamer's own converter.
fn converted(to: &VideoInfo, colour: impl Fn(usize, usize) -> [u8; 3]) -> gst::Buffer {
    let (w, h) = (to.width() as usize, to.height() as usize);
    let from = info("RGB", (to.width(), to.height()), None);
    let mut rgb =
        VideoFrame::from_buffer_writable(gst::Buffer::with_size(from.size()).unwrap(), &from)
            .unwrap();
    let stride = from.stride()[0] as usize;
    let data = rgb.plane_data_mut(0).unwrap();
    for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
        data[y * stride + 3 * x..][..3].copy_from_slice(&colour(x, y));
    }
    let rgb = VideoFrame::from_buffer_readable(rgb.into_buffer(), &from).unwrap();
    let out = gst::Buffer::with_size(to.size()).unwrap();
    let mut out = VideoFrame::from_buffer_writable(out, to).unwrap();
    gst_video::VideoConverter::new(&from, to, None).unwrap().frame(&rgb, &mut out);
    out.into_buffer()
}

fn mean(crop: &FaceCrop, c: usize) -> f32 {
    let plane = crop.size * crop.size;
    crop.pixels[c * plane..][..plane].iter().sum::<f32>() / plane as f32
}

#[test]
fn colours_are_right_in_every_format_range_and_matrix() {
    init();
    let colours =
        [[200u8, 140, 120], [30, 200, 60], [40, 50, 220], [128, 128, 128], [255; 3], [0; 3]];
    for format in FORMATS {
        let yuv = info(format, (8, 8), None).is_yuv();
        let colorimetries: &[_] = if yuv {
            // "1:...": the same matrices in full range.
            &[None, Some("bt601"), Some("bt709"), Some("bt2020"), Some("1:4:0:0"), Some("1:3:5:1")]
        } else {
            &[None]
        };
        for (colorimetry, size) in
            colorimetries.iter().flat_map(|c| [(c, (33, 21)), (c, (640, 720)), (c, (1, 1))])
        {
            let to = info(format, size, *colorimetry);
            for colour in colours {
                let crop = whole(converted(&to, |_, _| colour), &to, 12);
                let want = colour.map(|v| f32::from(v) / 255.0);
                let grey = 0.299 * want[0] + 0.587 * want[1] + 0.114 * want[2];
                for (c, want) in want.into_iter().enumerate() {
                    let want = if format == "GRAY8" { grey } else { want };
                    // GStreamer's converter truncates luma and chroma, which a wrong matrix
                    // exceeds five times over. Else it is float rounding.
                    let close = if yuv || format == "GRAY8" { 4.0 } else { 0.001 } / 255.0;
                    let got = mean(&crop, c);
                    let what = format!("{format} {colorimetry:?} {size:?} {colour:?} {c}");
                    assert!((got - want).abs() < close, "{what}: {got} for {want}");
                    assert!(crop.pixels.iter().all(|v| (0.0..=1.0).contains(v)), "{what}");
                }
                assert!(crop.reasons.contains(Reason::Monochrome) || format != "GRAY8");
            }
        }
    }
}

#[test]
fn every_cell_is_the_mean_of_its_pixels() {
    init();
    for (format, size) in
        FORMATS.iter().flat_map(|f| [(f, (72, 48)), (f, (37, 51)), (f, (7, 5)), (f, (161, 2))])
    {
        let to = info(format, size, None);
        // Grey, so that only the luma's place matters; chroma's is checked below.
        let level = |x: usize, y: usize| (40 + (x * 5 + y * 3) % 150) as u8;
        let crop = whole(converted(&to, |x, y| [level(x, y); 3]), &to, 12);
        let (w, h) = (size.0 as f64, size.1 as f64);
        for (j, i) in (0..12).flat_map(|j| (0..12).map(move |i| (j, i))) {
            let (x0, x1) = (f64::from(i) * w / 12.0, f64::from(i + 1) * w / 12.0);
            let (y0, y1) = (f64::from(j) * h / 12.0, f64::from(j + 1) * h / 12.0);
            let mut want = 0.0;
            for (y, x) in (0..size.1).flat_map(|y| (0..size.0).map(move |x| (y, x))) {
                let across = (x1.min(f64::from(x + 1)) - x0.max(f64::from(x))).max(0.0);
                let down = (y1.min(f64::from(y + 1)) - y0.max(f64::from(y))).max(0.0);
                want += f64::from(level(x as usize, y as usize)) * across * down;
            }
            want /= 255.0 * (x1 - x0) * (y1 - y0);
            for c in 0..3 {
                let got = f64::from(crop.pixels[c * 144 + (j * 12 + i) as usize]);
                assert!((got - want).abs() < 1.5 / 255.0, "{format} {size:?}: {got} for {want}");
            }
        }
    }
}

#[test]
fn chroma_lies_where_luma_does() {
    init();
    for format in FORMATS.into_iter().filter(|f| *f != "GRAY8") {
        let to = info(format, (96, 96), None);
        let red_then_blue = |x: usize, y: usize| {
            if (x < 48) == (y < 32) { [200, 60, 60] } else { [60, 60, 200] }
        };
        let crop = whole(converted(&to, red_then_blue), &to, 24);
        for (j, i) in (0..24usize).flat_map(|j| (0..24usize).map(move |i| (j, i))) {
            // The converter smooths chroma over the border.
            if (11..=12).contains(&i) || (7..=8).contains(&j) {
                continue;
            }
            let want = red_then_blue(4 * i, 4 * j);
            for c in 0..3 {
                let got = crop.pixels[c * 576 + j * 24 + i] * 255.0;
                assert!((got - f32::from(want[c])).abs() < 2.0, "{format} {i} {j}: {got} {want:?}");
            }
        }
    }
}

/// Y' 140, Cb 110, Cr 150 in 2 × 2 pixels of each layout.
fn by_hand(format: &str) -> Vec<u8> {
    match format {
        "YUY2" => [140, 110, 140, 150].repeat(2),
        "UYVY" => [110, 140, 150, 140].repeat(2),
        "I420" => [[140; 4], [140; 4], [110, 0, 0, 0], [150, 0, 0, 0]].concat(),
        "YV12" => [[140; 4], [140; 4], [150, 0, 0, 0], [110, 0, 0, 0]].concat(),
        "NV12" => [[140; 4], [140; 4], [110, 150, 0, 0], [0; 4]].concat(),
        "NV21" => [[140; 4], [140; 4], [150, 110, 0, 0], [0; 4]].concat(),
        _ => unreachable!(),
    }
}

#[test]
fn bytes_by_hand() {
    init();
    // The equations as the recommendations print them.
    let (y, u, v) = (1.164384 * 124.0, -18.0, 22.0);
    let known = [
        ("bt601", [y + 1.596027 * v, y - 0.391762 * u - 0.812968 * v, y + 2.017232 * u]),
        ("bt709", [y + 1.792741 * v, y - 0.213249 * u - 0.532909 * v, y + 2.112402 * u]),
        ("bt2020", [y + 1.678674 * v, y - 0.187326 * u - 0.650424 * v, y + 2.141772 * u]),
        ("1:4:0:0", [140.0 + 1.402 * v, 140.0 - 0.344136 * u - 0.714136 * v, 140.0 + 1.772 * u]),
    ];
    for format in ["YUY2", "UYVY", "I420", "YV12", "NV12", "NV21"] {
        for (colorimetry, want) in known {
            let to = info(format, (2, 2), Some(colorimetry));
            let crop = whole(gst::Buffer::from_mut_slice(by_hand(format)), &to, 2);
            for (c, want) in want.into_iter().enumerate() {
                let got = 255.0 * mean(&crop, c);
                assert!((got - want).abs() < 0.001, "{format} {colorimetry} {c}: {got} {want}");
            }
        }
    }
    for (format, bytes) in [("ARGB", [9, 255, 51, 0]), ("BGRx", [0, 51, 255, 9])] {
        let to = info(format, (2, 2), None);
        let crop = whole(gst::Buffer::from_mut_slice(bytes.repeat(4)), &to, 2);
        for (c, want) in [1.0, 0.2, 0.0].into_iter().enumerate() {
            assert!((mean(&crop, c) - want).abs() < 1e-6, "{format} {c}: {}", mean(&crop, c));
        }
    }
}

/// The frame in a larger one, at (x, y), with rows and planes apart.
fn padded(buffer: &gst::Buffer, of: &VideoInfo, (x, y): (u32, u32)) -> gst::Buffer {
    let (w, h) = (of.width() + x + 6, of.height() + y + 4);
    let big = info(of.format().to_str(), (w, h), None);
    let strides: Vec<i32> = big.stride().iter().map(|s| s + 24).collect();
    let mut offsets = Vec::new();
    let mut size = 40;
    for (p, stride) in strides.iter().enumerate() {
        offsets.push(size);
        let rows = (0..of.n_components() as u8).filter(|c| of.comp_plane(*c) as usize == p);
        size += *stride as usize * rows.map(|c| big.comp_height(c)).max().unwrap() as usize + 40;
    }
    let mut data = vec![77u8; size];
    let small = VideoFrame::from_buffer_readable(buffer.clone(), of).unwrap();
    for c in 0..of.n_components() as u8 {
        let (step, plane) = (of.comp_pstride(c) as usize, of.comp_plane(c) as usize);
        let sub = (of.width() / of.comp_width(c), of.height() / of.comp_height(c));
        for (j, i) in
            (0..of.comp_height(c)).flat_map(|j| (0..of.comp_width(c)).map(move |i| (j, i)))
        {
            let from = j as usize * of.stride()[plane] as usize + i as usize * step;
            let (j, i) = ((j + y / sub.1) as usize, (i + x / sub.0) as usize);
            let to = offsets[plane] + j * strides[plane] as usize + i * step;
            let poffset = of.comp_poffset(c) as usize;
            data[to + poffset] = small.plane_data(plane as u32).unwrap()[from + poffset];
        }
    }
    let mut buffer = gst::Buffer::from_mut_slice(data);
    let flags = gst_video::VideoFrameFlags::empty();
    let out = buffer.make_mut();
    gst_video::VideoMeta::add_full(out, flags, of.format(), w, h, &offsets, &strides).unwrap();
    gst_video::VideoCropMeta::add(out, (x, y, of.width(), of.height()));
    buffer
}

#[test]
fn strides_offsets_and_crop_metas_change_nothing() {
    init();
    for format in FORMATS {
        let to = info(format, (42, 38), None);
        let buffer = converted(&to, |x, y| [(x * 5) as u8, (y * 6) as u8, (x * y % 251) as u8]);
        let plain = whole(buffer.clone(), &to, 12);
        for at in [(0, 0), (4, 2), (8, 6)] {
            let moved = whole(padded(&buffer, &to, at), &to, 12);
            let differ = plain.pixels.iter().zip(&moved.pixels).map(|(a, b)| (a - b).abs());
            assert!(differ.fold(0.0, f32::max) < 1e-6, "{format} {at:?}");
        }
    }
}
