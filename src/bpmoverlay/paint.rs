//! Cairo and Pango: from words and curves to pixels.

use cairo::{Context, Format, ImageSurface, LineCap, LineJoin};
use gst_video::{VideoFormat, VideoInfo};

use super::layout::{Rect, Scale};
use super::words::{BARS, Headline, Mood, Words};

/// What the user chose, and the frame's scale. All that is drawn follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub scale: Scale,
    /// A Pango font description; its size is ignored.
    pub font: String,
    pub colours: Colours,
}

/// Each 0xAARRGGBB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colours {
    pub text: u32,
    pub background: u32,
    pub measuring: u32,
    pub ok: u32,
    pub weak: u32,
}

impl Colours {
    fn of(&self, mood: Mood) -> u32 {
        match mood {
            Mood::Measuring => self.measuring,
            Mood::Ok => self.ok,
            Mood::Weak => self.weak,
        }
    }
}

/// A drawn piece: premultiplied ARGB in the machine's byte order, without padding.
#[derive(Clone, Debug)]
pub struct Ink {
    pub buffer: gst::Buffer,
    pub info: VideoInfo,
}

impl Ink {
    pub fn width(&self) -> i32 {
        self.info.width() as i32
    }

    pub fn height(&self) -> i32 {
        self.info.height() as i32
    }
}

/// A part of the box's line, and where it stands relative to the box.
#[derive(Clone, Debug)]
pub struct Edge {
    pub at: (i32, i32),
    pub ink: Ink,
}

const PIXELS: VideoFormat =
    if cfg!(target_endian = "little") { VideoFormat::Bgra } else { VideoFormat::Argb };

/// Draws a piece of `width` × `height`.
fn draw(
    width: i32,
    height: i32,
    picture: impl FnOnce(&Context) -> Result<(), cairo::Error>,
) -> Result<Ink, cairo::Error> {
    let (width, height) = (width.max(1), height.max(1));
    let mut surface = ImageSurface::create(Format::ARgb32, width, height)?;
    let context = Context::new(&surface)?;
    picture(&context)?;
    drop(context);
    surface.flush();
    let pixels = surface.data().map_err(|_| cairo::Error::SurfaceFinished)?.to_vec();
    let mut buffer = gst::Buffer::from_slice(pixels);
    let info = VideoInfo::builder(PIXELS, width as u32, height as u32)
        .flags(gst_video::VideoFlags::PREMULTIPLIED_ALPHA)
        .build()
        .expect("a format and a size");
    let buf = buffer.get_mut().expect("a new buffer");
    let flags = gst_video::VideoFrameFlags::empty();
    gst_video::VideoMeta::add(buf, flags, PIXELS, width as u32, height as u32)
        .expect("the buffer holds the picture");
    Ok(Ink { buffer, info })
}

fn set_colour(cr: &Context, argb: u32, alpha: f64) {
    let [a, r, g, b] = argb.to_be_bytes().map(|c| f64::from(c) / 255.0);
    cr.set_source_rgba(r, g, b, a * alpha);
}

/// A rectangle with rounded corners, as a closed path.
fn rounded(cr: &Context, x: f64, y: f64, w: f64, h: f64, r: f64) {
    use std::f64::consts::{FRAC_PI_2, PI};
    let r = r.min(w / 2.0).min(h / 2.0).max(0.0);
    cr.new_path();
    cr.arc(x + w - r, y + r, r, -FRAC_PI_2, 0.0);
    cr.arc(x + w - r, y + h - r, r, 0.0, FRAC_PI_2);
    cr.arc(x + r, y + h - r, r, FRAC_PI_2, PI);
    cr.arc(x + r, y + r, r, PI, 3.0 * FRAC_PI_2);
    cr.close_path();
}

/// The background of a card, of which `y..y + h` of `whole` lines are in this piece.
fn panel(
    cr: &Context,
    look: &Look,
    mood: Mood,
    w: i32,
    y: i32,
    whole: i32,
) -> Result<(), cairo::Error> {
    let radius = 0.4 * look.scale.text;
    let accent = f64::from(look.scale.line()) * 1.5;
    rounded(cr, 0.0, f64::from(-y), f64::from(w), f64::from(whole), radius);
    set_colour(cr, look.colours.background, 1.0);
    cr.fill_preserve()?;
    cr.save()?;
    cr.clip();
    cr.rectangle(0.0, f64::from(-y), accent, f64::from(whole));
    set_colour(cr, look.colours.of(mood), 1.0);
    cr.fill()?;
    cr.restore()
}

/// The texts of a card, laid out.
struct Texts {
    headline: pango::Layout,
    unit: Option<pango::Layout>,
    id: pango::Layout,
    reason: Option<pango::Layout>,
}

/// Left and right margin of a card's inside.
fn margin(look: &Look) -> f64 {
    0.75 * look.scale.text
}

/// Height of the row that the headline stands in.
fn row(look: &Look) -> f64 {
    2.1 * look.scale.text
}

fn bar_pitch(look: &Look) -> f64 {
    0.36 * look.scale.text
}

fn text(
    look: &Look,
    context: &pango::Context,
    words: &str,
    size: f64,
    bold: bool,
) -> pango::Layout {
    let mut font = pango::FontDescription::from_string(&look.font);
    font.set_absolute_size(size * look.scale.text * f64::from(pango::SCALE));
    if bold {
        font.set_weight(pango::Weight::Bold);
    }
    let layout = pango::Layout::new(context);
    layout.set_font_description(Some(&font));
    layout.set_text(words);
    layout
}

impl Texts {
    fn new(words: &Words, look: &Look, width: i32) -> Texts {
        let context = pango::prelude::FontMapExt::create_context(&pangocairo::FontMap::default());
        let make = |words: &str, size, bold| text(look, &context, words, size, bold);
        let (headline, unit) = match &words.headline {
            Headline::Rate(bpm) => {
                (make(&bpm.to_string(), 1.75, true), Some(make("bpm", 0.95, false)))
            }
            Headline::Text(text) => (make(text, 1.0, true), None),
        };
        let inside = f64::from(width) - 2.0 * margin(look);
        let taken = bar_pitch(look) * f64::from(BARS) + 0.4 * look.scale.text;
        if unit.is_none() {
            fit(&headline, inside - taken);
        }
        let reason = (!words.reason.is_empty()).then(|| make(&words.reason, 0.9, false));
        if let Some(reason) = &reason {
            reason.set_width((inside * f64::from(pango::SCALE)) as i32);
            reason.set_wrap(pango::WrapMode::WordChar);
        }
        Texts { headline, unit, id: make(&format!("#{}", words.id), 0.8, false), reason }
    }

    fn height(&self, look: &Look) -> i32 {
        let reason = self
            .reason
            .as_ref()
            .map_or(0.0, |r| f64::from(r.pixel_size().1) + 0.3 * look.scale.text);
        (row(look) + reason).ceil() as i32 + look.scale.rim()
    }
}

/// Cuts a text that is too long, with an ellipsis.
fn fit(layout: &pango::Layout, width: f64) {
    layout.set_width((width.max(1.0) * f64::from(pango::SCALE)) as i32);
    layout.set_ellipsize(pango::EllipsizeMode::End);
}

/// Draws a card: headline, confidence mark, id and reason. `below` lines of a strip follow it.
pub fn card(words: &Words, look: &Look, width: i32, below: i32) -> Result<Ink, cairo::Error> {
    let texts = Texts::new(words, look, width);
    let height = super::layout::even(texts.height(look) + 1);
    draw(width, height, |cr| {
        panel(cr, look, words.mood, width, 0, height + below)?;
        headline(cr, look, &texts)?;
        corner(cr, look, words, &texts, f64::from(width) - 0.5 * look.scale.text)?;
        if let Some(reason) = &texts.reason {
            set_colour(cr, look.colours.text, 1.0);
            cr.move_to(margin(look), row(look));
            pangocairo::functions::show_layout(cr, reason);
        }
        Ok(())
    })
}

fn headline(cr: &Context, look: &Look, texts: &Texts) -> Result<(), cairo::Error> {
    let (width, height) = texts.headline.pixel_size();
    let y = (row(look) - f64::from(height)) / 2.0;
    set_colour(cr, look.colours.text, 1.0);
    cr.move_to(margin(look), y);
    pangocairo::functions::show_layout(cr, &texts.headline);
    if let Some(unit) = &texts.unit {
        let drop = texts.headline.baseline() - unit.baseline();
        let x = margin(look) + f64::from(width) + 0.35 * look.scale.text;
        cr.move_to(x, y + f64::from(drop) / f64::from(pango::SCALE));
        pangocairo::functions::show_layout(cr, unit);
    }
    Ok(())
}

/// The confidence mark, bars of rising height, and the id under it, both flush with `right`.
fn corner(
    cr: &Context,
    look: &Look,
    words: &Words,
    texts: &Texts,
    right: f64,
) -> Result<(), cairo::Error> {
    let (unit, pitch) = (look.scale.text, bar_pitch(look));
    if let Some(filled) = words.bars {
        for bar in 0..BARS {
            let height = 0.85 * unit * f64::from(bar + 1) / f64::from(BARS);
            let x = (right - pitch * f64::from(BARS - bar)).round();
            cr.rectangle(
                x,
                (1.15 * unit - height).round(),
                (0.66 * pitch).max(2.0).round(),
                height,
            );
            let on = bar < filled;
            let colour = if on { look.colours.of(words.mood) } else { look.colours.text };
            set_colour(cr, colour, if on { 1.0 } else { 0.3 });
            cr.fill()?;
        }
    }
    let (width, height) = texts.id.pixel_size();
    let middle = if words.bars.is_some() { 1.62 * unit } else { row(look) / 2.0 };
    set_colour(cr, look.colours.text, 0.8);
    cr.move_to(right - f64::from(width), middle - f64::from(height) / 2.0);
    pangocairo::functions::show_layout(cr, &texts.id);
    Ok(())
}

/// Height of the wave strip.
pub fn strip_height(look: &Look) -> i32 {
    super::layout::even((2.7 * look.scale.text) as i32)
}

/// Draws the strip, the lower part of a card: `above` lines of the card stand over it.
pub fn strip(
    curve: &[Vec<(f64, f64)>],
    look: &Look,
    mood: Mood,
    width: i32,
    above: i32,
) -> Result<Ink, cairo::Error> {
    let height = strip_height(look);
    draw(width, height, |cr| {
        panel(cr, look, mood, width, above, above + height)?;
        let (left, right) = (margin(look), f64::from(width) - 0.6 * look.scale.text);
        let (middle, half) = (f64::from(height) * 0.45, f64::from(height) * 0.34);
        let place = |(x, y): (f64, f64)| (left + x * (right - left), middle - y * half);
        if curve.is_empty() {
            set_colour(cr, look.colours.text, 0.25);
            cr.rectangle(left, middle.floor(), right - left, f64::from(look.scale.rim()));
            cr.fill()?;
        }
        cr.set_line_join(LineJoin::Round);
        cr.set_line_cap(LineCap::Round);
        cr.set_line_width((f64::from(look.scale.line()) * 0.7).max(1.4));
        set_colour(cr, look.colours.of(mood), if mood == Mood::Ok { 1.0 } else { 0.7 });
        for piece in curve {
            for (x, y) in piece.iter().map(|p| place(*p)) {
                cr.line_to(x, y);
            }
            cr.stroke()?;
        }
        Ok(())
    })
}

/// Draws the line of a box of `w` × `h` as four edges (one piece where it is small), so that the
/// picture inside costs nothing. The line's style tells the mood apart without colour.
pub fn edges(w: i32, h: i32, look: &Look, mood: Mood) -> Result<Vec<Edge>, cairo::Error> {
    let (line, rim) = (look.scale.line(), look.scale.rim());
    let band = line + 2 * rim;
    let corner = band + 2 * line;
    let (wide, high) = (w + 2 * rim, h + 2 * rim);
    let parts = if high <= 2 * corner || wide <= 2 * band {
        vec![Rect { x: 0, y: 0, w: wide, h: high }]
    } else {
        let side = Rect { x: 0, y: corner, w: band, h: high - 2 * corner };
        let top = Rect { x: 0, y: 0, w: wide, h: corner };
        let (right, bottom) = (Rect { x: wide - band, ..side }, Rect { y: high - corner, ..top });
        vec![top, bottom, side, right]
    };
    let edge = |part: Rect| {
        let ink = draw(part.w, part.h, |cr| {
            cr.translate(f64::from(-part.x), f64::from(-part.y));
            outline(cr, look, mood, f64::from(wide), f64::from(high))
        })?;
        Ok(Edge { at: (part.x - rim, part.y - rim), ink })
    };
    parts.into_iter().map(edge).collect()
}

fn outline(cr: &Context, look: &Look, mood: Mood, w: f64, h: f64) -> Result<(), cairo::Error> {
    let (line, rim) = (f64::from(look.scale.line()), f64::from(look.scale.rim()));
    let inset = rim + line / 2.0;
    rounded(cr, inset, inset, w - 2.0 * inset, h - 2.0 * inset, 2.0 * line);
    match mood {
        Mood::Ok => (),
        Mood::Weak => cr.set_dash(&[5.0 * line, 3.0 * line], 0.0),
        Mood::Measuring => cr.set_dash(&[1.5 * line, 2.5 * line], 0.0),
    }
    set_colour(cr, 0xff00_0000, 0.55);
    cr.set_line_width(line + 2.0 * rim);
    cr.stroke_preserve()?;
    set_colour(cr, look.colours.of(mood), 1.0);
    cr.set_line_width(line);
    cr.stroke()
}
