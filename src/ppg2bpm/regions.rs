//! The reading, written to the regions of interest that stand for the faces.
//!
//! DL Streamer's gvametaconvert makes a JSON object of each structure among a region's params that
//! has the strings `label` and `model_name`, under the name `attribute_name` or else the
//! structure's, with `confidence` (double) where there is one.

use gst_video::VideoRegionOfInterestMeta;

use super::owners::owners;
use crate::meta::{Face, is_face_region};

/// The structure's name.
const NAME: &str = "heart-rate";
/// What stands for the network in `model_name`: the reading is that of the whole chain.
const MODEL: &str = "heartrate";

/// Adds the reading of each of `faces` to its region: the face region of a frame of width × height
/// `size` that overlaps it most. Ids don't tell, since upstream's regions have their own.
pub fn write(buffer: &mut gst::BufferRef, faces: &[Face], size: (f64, f64)) {
    let rois: Vec<Option<[f64; 4]>> =
        buffer.iter_meta::<VideoRegionOfInterestMeta>().map(|roi| rect(&roi, size)).collect();
    for (mut roi, face) in
        buffer.iter_meta_mut::<VideoRegionOfInterestMeta>().zip(owners(&rois, faces))
    {
        if let Some(face) = face {
            roi.add_param(structure(face));
        }
    }
}

/// The rectangle of a face's region, in fractions of the frame.
fn rect(roi: &VideoRegionOfInterestMeta, (width, height): (f64, f64)) -> Option<[f64; 4]> {
    let (x, y, w, h) = roi.rect();
    let [x, y, w, h] = [x, y, w, h].map(f64::from);
    is_face_region(roi).then_some([x / width, y / height, w / width, h / height])
}

/// The fields of the contract that belong to a reading, and those that DL Streamer reads. The label
/// is a string value, which is freed with the meta.
fn structure(face: &Face) -> gst::Structure {
    let mut s = gst::Structure::new_empty(NAME);
    s.set("id", face.id);
    let measures = [("bpm", face.bpm), ("confidence", face.confidence), ("snr", face.snr)];
    for (name, value) in measures {
        if let Some(value) = value {
            s.set(name, value);
        }
    }
    let status = face.status.as_str();
    s.set("status", status);
    s.set("label", face.bpm.map_or(status.to_string(), |bpm| format!("{bpm:.0} bpm")));
    s.set("model_name", MODEL);
    s
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::Status;

    fn face(id: u32, x: f64, bpm: Option<f64>) -> Face {
        let status = if bpm.is_some() { Status::Ok } else { Status::Weak };
        Face { id, x, y: 0.25, w: 0.25, h: 0.5, bpm, status, ..Face::default() }
    }

    fn params(buffer: &gst::BufferRef) -> Vec<Vec<String>> {
        let rois = buffer.iter_meta::<VideoRegionOfInterestMeta>();
        rois.map(|roi| roi.params().map(|p| p.to_string()).collect()).collect()
    }

    #[test]
    fn each_face_has_its_reading_on_its_own_region() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        let b = buffer.make_mut();
        let regions = [
            ("person", (50, 50, 100, 200)),
            ("face", (100, 50, 50, 100)),
            ("FaceDetection", (0, 50, 40, 100)),
            ("eyes", (100, 50, 50, 100)),
            ("face", (103, 52, 50, 100)),
        ];
        for (id, (kind, rect)) in regions.into_iter().enumerate() {
            VideoRegionOfInterestMeta::add(b, kind, rect).set_id(id as i32);
        }
        let mut first = face(4, 0.5, Some(71.625));
        (first.confidence, first.snr) = (Some(0.875), Some(6.5));
        // The second reaches over the frame's left edge.
        let second = face(2, -0.05, None);
        let lost = Face { status: Status::Lost, ..face(3, 0.515, None) };
        write(b, &[lost, first, second], (200.0, 200.0));
        let first = "heart-rate, id=(uint)4, bpm=(double)71.625, confidence=(double)0.875, \
                     snr=(double)6.5, status=(string)ok, label=(string)\"72\\ bpm\", \
                     model_name=(string)heartrate;";
        let second = "heart-rate, id=(uint)2, status=(string)weak, label=(string)weak, \
                      model_name=(string)heartrate;";
        let nothing: [&str; 0] = [];
        let got = params(&buffer);
        assert_eq!(got[0], nothing);
        assert_eq!(got[1], [first]);
        assert_eq!(got[2], [second]);
        assert_eq!(got[3], nothing);
        assert_eq!(got[4], nothing);
    }
}
