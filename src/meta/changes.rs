//! What of a face changes from frame to frame beside its pulse.

/// How the light has changed from the previous frame to this one: logarithms of ratios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LightChange {
    /// On the face: a pulse is in it.
    pub face: f32,
    /// On what is around the face.
    pub around: f32,
    /// On the whole picture but for the face and what is below it. `None` where there is little else.
    pub backdrop: Option<f32>,
}

/// How the mean colour of a face has changed from the previous frame to this one: logarithms of
/// ratios.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ColourChange {
    pub red: f32,
    pub green: f32,
    pub blue: f32,
}

/// How a face has moved from the previous frame to this one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Movement {
    /// To the right and down, sides of the crop.
    pub x: f32,
    pub y: f32,
    /// Logarithm of the ratio of its sizes.
    pub growth: f32,
}

/// How a face has changed from the previous frame to this one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Changes {
    /// `None` without a previous frame, or where nothing is seen around the face.
    pub light: Option<LightChange>,
    /// `None` without a previous frame, or in the dark.
    pub colour: Option<ColourChange>,
    /// What of it is blood's, as the quiet places of the face show it: red changes by 0.33 of that,
    /// green by 0.77, blue by 0.53. `None` where `colour` is, and where nothing changes.
    pub blood: Option<f32>,
    /// The share of the face's pixels, 0..1, whose chroma stands as it was, to an 8-bit step of colours'
    /// differences: what a codec does not send anew it holds. `None` where `colour` is.
    pub chroma_held: Option<f32>,
    /// `None` without a previous frame, or where the face was not followed from it.
    pub movement: Option<Movement>,
}

impl Changes {
    /// Writes the contract's fields into `s`; what is absent is not written.
    pub(super) fn write_fields(&self, s: &mut gst::StructureRef) {
        if let Some(LightChange { face, around, backdrop }) = self.light {
            write(s, [("light", face), ("light-around", around)]);
            backdrop.inspect(|backdrop| write(s, [("light-backdrop", *backdrop)]));
        }
        if let Some(ColourChange { red, green, blue }) = self.colour {
            write(s, [("red", red), ("green", green), ("blue", blue)]);
        }
        if let Some(blood) = self.blood {
            write(s, [("blood", blood)]);
        }
        if let Some(held) = self.chroma_held {
            write(s, [("chroma-held", held)]);
        }
        if let Some(Movement { x, y, growth }) = self.movement {
            write(s, [("move-x", x), ("move-y", y), ("growth", growth)]);
        }
    }

    /// Reads them; absent is what lacks one.
    pub(super) fn read_fields(s: &gst::StructureRef) -> Changes {
        let light = read(s, ["light", "light-around"]);
        let backdrop = read(s, ["light-backdrop"]).map(|[backdrop]| backdrop);
        let colour = read(s, ["red", "green", "blue"]);
        let [blood, chroma_held] = ["blood", "chroma-held"].map(|name| read(s, [name]));
        let movement = read(s, ["move-x", "move-y", "growth"]);
        Changes {
            light: light.map(|[face, around]| LightChange { face, around, backdrop }),
            colour: colour.map(|[red, green, blue]| ColourChange { red, green, blue }),
            blood: blood.map(|[blood]| blood),
            chroma_held: chroma_held.map(|[held]| held),
            movement: movement.map(|[x, y, growth]| Movement { x, y, growth }),
        }
    }
}

fn write<const N: usize>(s: &mut gst::StructureRef, fields: [(&str, f32); N]) {
    fields.iter().for_each(|(name, value)| s.set(*name, f64::from(*value)));
}

fn read<const N: usize>(s: &gst::StructureRef, names: [&str; N]) -> Option<[f32; N]> {
    let mut values = [0.0; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = s.get::<f64>(name).ok()? as f32;
    }
    Some(values)
}
