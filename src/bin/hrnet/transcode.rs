//! Frames through a real encoder, and back through its decoder or into a file.

use std::path::Path;

use gst::prelude::*;
use gstheartrate::scene::clip::Clip;
use gstheartrate::scene::compression::{Codec, Compression};

/// Bytes of frames that may wait before the encoder.
const QUEUE: u64 = 64 << 20;

/// A pipeline that takes packed RGB frames.
struct Feed {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
}

impl Feed {
    /// `launch` is what follows the source; `size` in pixels, the width a multiple of 4.
    fn new(launch: &str, size: (usize, usize), fps: f64) -> Result<Feed, String> {
        gst::init().map_err(|e| e.to_string())?;
        let rate = gst::Fraction::approximate_f64(fps).unwrap_or(gst::Fraction::new(30, 1));
        let caps = gst_video::VideoCapsBuilder::new()
            .format(gst_video::VideoFormat::Rgb)
            .width(size.0 as i32)
            .height(size.1 as i32)
            .framerate(rate)
            .build();
        let bin = gst::parse::launch(&format!("appsrc name=source ! {launch}"))
            .map_err(|e| format!("an element is missing: {e}"))?;
        let pipeline = bin.downcast::<gst::Pipeline>().expect("several elements make a pipeline");
        let source = pipeline.by_name("source").and_downcast::<gst_app::AppSrc>();
        let source = source.expect("it is named so");
        source.set_caps(Some(&caps));
        source.set_format(gst::Format::Time);
        source.set_max_bytes(QUEUE);
        source.set_block(true);
        Ok(Feed { pipeline, source })
    }

    fn start(&self) -> Result<(), String> {
        self.pipeline.set_state(gst::State::Playing).map(drop).map_err(|_| self.error())
    }

    fn end(&self) -> Result<(), String> {
        self.source.end_of_stream().map(drop).map_err(|_| self.error())
    }

    /// Hands over one frame; waits while the encoder is behind.
    fn push(&self, frame: Vec<u8>, time: u64) -> Result<(), String> {
        let mut buffer = gst::Buffer::from_mut_slice(frame);
        let pts = gst::ClockTime::from_nseconds(time);
        buffer.get_mut().expect("nobody else has it").set_pts(pts);
        self.source.push_buffer(buffer).map(drop).map_err(|_| self.error())
    }

    /// What went wrong in the pipeline.
    fn error(&self) -> String {
        let bus = self.pipeline.bus().expect("a pipeline has a bus");
        let message = bus.pop_filtered(&[gst::MessageType::Error]);
        match message.as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Error(e)) => e.error().to_string(),
            _ => "the encoder gave up".into(),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Going down to NULL can't fail.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// The encoder with its settings, on one thread and without a look at the clock: the same frames
/// give the same bytes.
fn encoder(c: &Compression, kbit_s: u32) -> String {
    let Compression { quality, gop, .. } = c;
    let bit_s = 1000 * kbit_s;
    match c.codec {
        Codec::H264 => {
            let order = if c.reorder { "bframes=3 b-pyramid=true" } else { "tune=zerolatency" };
            format!(
                "x264enc speed-preset=veryfast threads=1 bitrate={kbit_s} key-int-max={gop} {order}"
            )
        }
        Codec::H265 => format!(
            "x265enc speed-preset=ultrafast tune=zerolatency bitrate={kbit_s} key-int-max={gop} \
             option-string=pools=none:frame-threads=1:log-level=none"
        ),
        Codec::Vp8 => format!(
            "vp8enc deadline=1 cpu-used=-6 threads=1 end-usage=cbr target-bitrate={bit_s} \
             keyframe-max-dist={gop}"
        ),
        Codec::Vp9 => format!(
            "vp9enc deadline=1 cpu-used=8 threads=1 lag-in-frames=0 end-usage=cbr \
             target-bitrate={bit_s} keyframe-max-dist={gop}"
        ),
        Codec::Mjpeg => format!("jpegenc quality={quality}"),
    }
}

/// What cameras feed a codec with. Left alone, the encoders take all of RGB's chroma.
fn chroma(codec: Codec) -> &'static str {
    match codec {
        Codec::Mjpeg => "video/x-raw,format=Y42B",
        _ => "video/x-raw,format=I420",
    }
}

fn decoder(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264parse ! avdec_h264 max-threads=1",
        Codec::H265 => "h265parse ! avdec_h265 max-threads=1",
        Codec::Vp8 => "vp8dec threads=1",
        Codec::Vp9 => "vp9dec threads=1",
        Codec::Mjpeg => "jpegdec",
    }
}

/// What a container wants between itself and an encoder.
fn parser(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "! h264parse",
        Codec::H265 => "! h265parse",
        Codec::Vp8 | Codec::Vp9 | Codec::Mjpeg => "",
    }
}

/// A clip's frames as a player shows them, in order.
pub struct Frames<'a> {
    clip: &'a mut Clip,
    /// The frame to be rendered next.
    next: usize,
    through: Option<(Feed, gst_app::AppSink)>,
}

impl Frames<'_> {
    pub fn new(clip: &mut Clip) -> Result<Frames<'_>, String> {
        let through = clip.compression.map(|c| {
            let launch = format!(
                "videoconvert ! {} ! {} ! {} ! videoconvert ! video/x-raw,format=RGB ! \
                 appsink name=sink sync=false",
                chroma(c.codec),
                encoder(&c, clip.attributes.kbit_s),
                decoder(c.codec),
            );
            let feed = Feed::new(&launch, clip.size(), clip.attributes.fps)?;
            feed.start()?;
            let sink = feed.pipeline.by_name("sink").and_downcast::<gst_app::AppSink>();
            Ok::<_, String>((feed, sink.expect("it is named so")))
        });
        let through = through.transpose()?;
        Ok(Frames { clip, next: 0, through })
    }

    pub fn clip(&self) -> &Clip {
        self.clip
    }

    /// Puts the next frame into `out`, packed RGB.
    pub fn read(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let Some((feed, sink)) = &self.through else {
            self.clip.render(self.next, out);
            self.next += 1;
            return Ok(());
        };
        loop {
            let last = self.next > self.clip.pairs();
            // Once all is in, the rest comes for sure, or the end.
            let wait = if last { gst::ClockTime::from_seconds(60) } else { gst::ClockTime::ZERO };
            if let Some(sample) = sink.try_pull_sample(wait) {
                let map = sample.buffer().and_then(|b| b.map_readable().ok());
                let map = map.ok_or("a decoded frame can't be read")?;
                out.clear();
                out.extend_from_slice(&map);
                return Ok(());
            }
            if last {
                return Err(format!("the codec lost a frame: {}", feed.error()));
            }
            let mut frame = Vec::new();
            self.clip.render(self.next, &mut frame);
            feed.push(frame, nanoseconds(self.clip, self.next))?;
            self.next += 1;
            if self.next > self.clip.pairs() {
                feed.end()?;
            }
        }
    }
}

/// Time of a frame since the first one.
fn nanoseconds(clip: &Clip, frame: usize) -> u64 {
    ((clip.time(frame) - clip.time(0)) * 1e9).round() as u64
}

/// An encoder that loses nothing of I420: a third of the bytes.
const LOSSLESS: &str = "video/x-raw,format=I420 ! \
    x264enc pass=quant quantizer=0 speed-preset=ultrafast threads=1 ! h264parse";

/// Writes all frames of `clip` as a Matroska file: compressed as the clip says, else without loss.
pub fn write_video(clip: &mut Clip, path: &Path) -> Result<(), String> {
    let coded = match &clip.compression {
        Some(c) => format!(
            "{} ! {} {}",
            chroma(c.codec),
            encoder(c, clip.attributes.kbit_s),
            parser(c.codec)
        ),
        None => LOSSLESS.into(),
    };
    let launch = format!("videoconvert ! {coded} ! matroskamux ! filesink name=file");
    let feed = Feed::new(&launch, clip.size(), clip.attributes.fps)?;
    let file = feed.pipeline.by_name("file").expect("it is named so");
    file.set_property("location", path);
    feed.start()?;
    for frame in 0..=clip.pairs() {
        let mut rgb = Vec::new();
        clip.render(frame, &mut rgb);
        feed.push(rgb, nanoseconds(clip, frame))?;
    }
    feed.end()?;
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let bus = feed.pipeline.bus().expect("a pipeline has a bus");
    let end = bus.timed_pop_filtered(gst::ClockTime::from_seconds(600), &ends);
    match end.as_ref().map(|m| m.view()) {
        Some(gst::MessageView::Eos(_)) => Ok(()),
        Some(gst::MessageView::Error(e)) => Err(e.error().to_string()),
        _ => Err("writing the video does not end".into()),
    }
}
