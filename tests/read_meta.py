#!/usr/bin/python3
"""Plays ten seconds of a test face and prints, from the last buffer's HeartRateMeta, the face's id,
bpm and confidence, and the bpm of the last heart-rate message."""
import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402, F401

Gst.init(None)
pipeline = Gst.parse_launch(
    "pulsetestsrc bpm=72 num-buffers=300 ! facecrop ! hrnetinfer ! ppg2bpm ! appsink name=sink sync=false")
sink = pipeline.get_by_name("sink")
pipeline.set_state(Gst.State.PLAYING)
last = None
while sample := sink.pull_sample():
    last = sample
meta = last.get_buffer().get_custom_meta("HeartRateMeta").get_structure()
# The array owns what get_nth gives: keep it.
faces = meta.get_array("faces")[1]
face = faces.get_nth(0)
print(face.get_uint("id")[1], face.get_double("bpm")[1], face.get_double("confidence")[1])
bus = pipeline.get_bus()
rate = None
while message := bus.pop_filtered(Gst.MessageType.ELEMENT):
    if message.get_structure().get_name() == "heart-rate":
        faces = message.get_structure().get_array("faces")[1]
        rate = faces.get_nth(0).get_double("bpm")[1]
print(rate)
pipeline.set_state(Gst.State.NULL)
