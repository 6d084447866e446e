//! [`HeartRateMessage`], the result for apps that do not read buffers.

use super::heart_rate::{Face, read_faces, write_faces};

/// What the element message `heart-rate` says of all faces at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeartRateMessage {
    /// The buffer's timestamp.
    pub timestamp: Option<gst::ClockTime>,
    pub stream_time: Option<gst::ClockTime>,
    pub running_time: Option<gst::ClockTime>,
    pub faces: Vec<Face>,
}

impl HeartRateMessage {
    /// Name of the message's structure.
    pub const NAME: &'static str = "heart-rate";

    /// The message's structure: the times (nanoseconds, all ones where unknown), then the array
    /// `faces` of structures with the fields of the metadata contract.
    pub fn to_structure(&self) -> gst::Structure {
        gst::Structure::builder(Self::NAME)
            .field("timestamp", self.timestamp)
            .field("stream-time", self.stream_time)
            .field("running-time", self.running_time)
            .field("faces", write_faces(&self.faces))
            .build()
    }

    /// Reads an element message; `None` if it is another's or malformed.
    pub fn read(message: &gst::MessageRef) -> Option<HeartRateMessage> {
        let s = message.structure().filter(|s| s.name() == Self::NAME)?;
        Some(HeartRateMessage {
            timestamp: s.get("timestamp").ok()?,
            stream_time: s.get("stream-time").ok()?,
            running_time: s.get("running-time").ok()?,
            faces: read_faces(s)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_is_read() {
        gst::init().unwrap();
        let message = HeartRateMessage {
            timestamp: Some(gst::ClockTime::from_seconds(3)),
            stream_time: Some(gst::ClockTime::from_seconds(2)),
            running_time: None,
            faces: vec![Face { id: 4, bpm: Some(72.5), ..Face::default() }],
        };
        let posted = gst::message::Element::new(message.to_structure());
        assert_eq!(HeartRateMessage::read(&posted), Some(message));
        let fields: Vec<_> = posted.structure().unwrap().fields().collect();
        assert_eq!(fields, ["timestamp", "stream-time", "running-time", "faces"]);
        let other = gst::message::Element::new(gst::Structure::new_empty("level"));
        assert_eq!(HeartRateMessage::read(&other), None);
    }
}
