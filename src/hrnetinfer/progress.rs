//! Progress messages while an engine is built, which can take minutes.

use std::sync::Mutex;

use gst::prelude::*;

/// The messages of one build; none where nothing is built.
pub struct BuildProgress<'a> {
    element: &'a gst::Element,
    /// What was said last.
    last: Mutex<Option<String>>,
}

impl BuildProgress<'_> {
    pub fn new(element: &gst::Element) -> BuildProgress<'_> {
        BuildProgress { element, last: Mutex::new(None) }
    }

    /// `step` of `of` steps of `phase` are done.
    pub fn step(&self, phase: &str, step: u32, of: u32) {
        let text = format!("{phase}: {} %", 100 * step.min(of) / of.max(1));
        let mut last = self.last.lock().unwrap();
        if last.as_ref() == Some(&text) {
            return;
        }
        let first = last.replace(text.clone()).is_none();
        drop(last);
        let kind = if first { gst::ProgressType::Start } else { gst::ProgressType::Continue };
        self.post(kind, &text);
    }

    /// The build is over, if there was one.
    pub fn end(&self, built: bool) {
        if self.last.lock().unwrap().is_some() {
            match built {
                true => self.post(gst::ProgressType::Complete, "Engine built"),
                false => self.post(gst::ProgressType::Error, "No engine built"),
            }
        }
    }

    fn post(&self, kind: gst::ProgressType, text: &str) {
        let message = gst::message::Progress::builder(kind, "engine", text).src(self.element);
        // Without a bus nobody listens.
        let _ = self.element.post_message(message.build());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_become_messages_and_no_build_none() {
        gst::init().unwrap();
        let bin = gst::Pipeline::new();
        let progress = BuildProgress::new(bin.upcast_ref());
        progress.end(true);
        for step in [1, 1, 2, 4] {
            progress.step("Building engine", step, 4);
        }
        progress.step("odd", 3, 0);
        progress.end(true);
        let bus = bin.bus().unwrap();
        let said: Vec<_> = std::iter::from_fn(|| bus.pop())
            .filter_map(|m| match m.view() {
                gst::MessageView::Progress(p) => {
                    let (kind, code, text) = p.get();
                    assert_eq!(code, "engine");
                    Some(format!("{kind:?} {text}"))
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            said,
            [
                "Start Building engine: 25 %",
                "Continue Building engine: 50 %",
                "Continue Building engine: 100 %",
                "Continue odd: 0 %",
                "Complete Engine built"
            ]
        );
    }
}
