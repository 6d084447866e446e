//! What streams do when the engine that they share fails under them.

use std::time::Duration;

use super::*;
use crate::hrnetinfer::contract::Contract;
use crate::hrnetinfer::maps::Layout;
use crate::hrnetinfer::owner::{Client, Make, Maps, Runner, shared};

/// Gives zeros until its device is lost.
struct Lost {
    network: Network,
    batches: u32,
    pairs: usize,
}

impl Runner for Lost {
    fn network(&self) -> &Network {
        &self.network
    }

    fn max_batch(&self) -> usize {
        16
    }

    fn depth(&self) -> usize {
        1
    }

    fn submit(&mut self, parts: &[Maps]) -> Result<(), EngineError> {
        self.pairs = parts.iter().map(|p| p.motion.len() / self.network.map_len()).sum();
        Ok(())
    }

    fn ready(&mut self) -> bool {
        true
    }

    fn collect(&mut self) -> Result<Vec<f32>, EngineError> {
        self.batches += 1;
        match self.batches {
            ..10 => Ok(vec![0.0; self.pairs]),
            _ => Err(EngineError::Run("on the GPU: the device is lost".into())),
        }
    }
}

fn client() -> Client {
    let network = Network { contract: Contract::default(), layout: Layout::Nchw, size: 36 };
    let make: Make = Box::new(|| Ok(Box::new(Lost { network, batches: 0, pairs: 0 })));
    shared("lost", Contract::default(), Duration::from_millis(2), || Ok(make)).unwrap()
}

/// A pipeline that has shown its first frame, with `client` as its engine from the next on.
fn pipeline(client: Client) -> gst::Pipeline {
    let launch =
        "pulsetestsrc num-buffers=100 ! facecrop ! hrnetinfer name=infer backend=cpu ! fakesink";
    let pipeline = gst::parse::launch(launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    pipeline.set_state(gst::State::Paused).unwrap();
    pipeline.state(gst::ClockTime::from_seconds(20)).0.unwrap();
    let element = pipeline.by_name("infer").unwrap();
    let infer = element.downcast::<crate::hrnetinfer::HrnetInfer>().unwrap();
    infer.imp().state.lock().unwrap().as_mut().unwrap().engine = Arc::new(client);
    pipeline
}

#[test]
fn a_lost_device_is_an_error_of_every_element_that_uses_it() {
    gst::init().unwrap();
    crate::plugin_register_static().unwrap();
    let clients = [client(), client()];
    let pipelines = clients.map(pipeline);
    for pipeline in &pipelines {
        pipeline.set_state(gst::State::Playing).unwrap();
    }
    for pipeline in &pipelines {
        let bus = pipeline.bus().unwrap();
        let kinds = [gst::MessageType::Error, gst::MessageType::Eos];
        let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &kinds);
        match message.expect("the stream hangs").view() {
            gst::MessageView::Error(error) => assert_eq!(
                error.error().to_string(),
                "The network failed to run: on the GPU: the device is lost"
            ),
            other => panic!("{other:?}"),
        }
        pipeline.set_state(gst::State::Null).unwrap();
    }
}
