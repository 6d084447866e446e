#!/usr/bin/python3
"""Watches heart rates: composes the elements, reads the metadata of every frame, and reacts to the
messages by saying when a rate leaves a range.

    GST_PLUGIN_PATH=target/release examples/read_heart_rate.py --low 50 --high 90 /dev/video0
    GST_PLUGIN_PATH=target/release examples/read_heart_rate.py --high 95 'pulsetestsrc bpm=80>110@20 num-buffers=750'
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402


def source(text):
    """A bin that plays a camera's device, a file, a URI or the launch line of a source."""
    if text.startswith("/dev/"):
        line = f"v4l2src device={text} ! decodebin ! videoconvert"
    elif text.split()[0].endswith("src"):
        line = f"{text} ! videoconvert"
    else:
        uri = text if Gst.Uri.is_valid(text) else Gst.filename_to_uri(text)
        line = f'uridecodebin uri="{uri}" ! queue ! videoconvert'
    return Gst.parse_bin_from_description(line, True)


def build(text):
    pipeline = Gst.Pipeline.new(None)
    before = source(text)
    pipeline.add(before)
    for factory in ("facecrop", "hrnetinfer", "ppg2bpm", "fakesink"):
        element = Gst.ElementFactory.make(factory, factory)
        if element is None:
            sys.exit(f"element {factory} is missing: is GST_PLUGIN_PATH set?")
        pipeline.add(element)
        before.link(element)
        before = element
    return pipeline


def faces_of(structure):
    """The structures in the field `faces`, of the metadata or of a message."""
    known, faces = structure.get_array("faces")
    # The array owns what get_nth gives: the generator keeps it.
    for i in range(faces.n_values if known else 0):
        yield faces.get_nth(i)


class Watch:
    def __init__(self, low, high):
        self.low, self.high = low, high
        self.outside = set()  # ids of the faces that were told
        self.frames = self.samples = 0

    def frame(self, _, info):
        """Runs in the streaming thread, for every frame: be quick."""
        meta = info.get_buffer().get_custom_meta("HeartRateMeta")
        if meta is not None:
            self.frames += 1
            self.samples += sum(face.has_field("ppg") for face in faces_of(meta.get_structure()))
        return Gst.PadProbeReturn.OK

    def message(self, message):
        """Runs once a second and says what there is to say."""
        structure = message.get_structure()
        if structure is None or structure.get_name() != "heart-rate":
            return
        time = structure.get_uint64("stream-time")[1] / Gst.SECOND
        for face in faces_of(structure):
            known, bpm = face.get_double("bpm")
            if known:
                print(f"{time:6.1f} s  face {face.get_uint('id')[1]}  {bpm:.1f} bpm")
                self.judge(face.get_uint("id")[1], bpm)

    def judge(self, face, bpm):
        if self.low <= bpm <= self.high:
            self.outside.discard(face)
        elif face not in self.outside:
            self.outside.add(face)
            print(f"ALERT: face {face}: {'above' if bpm > self.high else 'below'} the range")


def play(pipeline, watch):
    """Plays to the end; an error ends the program."""
    pad = pipeline.get_by_name("fakesink").get_static_pad("sink")
    pad.add_probe(Gst.PadProbeType.BUFFER, watch.frame)
    pipeline.set_state(Gst.State.PLAYING)
    bus = pipeline.get_bus()
    try:
        while message := bus.timed_pop(Gst.CLOCK_TIME_NONE):
            if message.type == Gst.MessageType.ERROR:
                sys.exit(message.parse_error()[0].message)
            if message.type == Gst.MessageType.EOS:
                return
            watch.message(message)
    finally:
        pipeline.set_state(Gst.State.NULL)


def main():
    Gst.init(None)
    parser = argparse.ArgumentParser(description="Says when a heart rate leaves a range.")
    parser.add_argument("--low", type=float, default=50)
    parser.add_argument("--high", type=float, default=100)
    parser.add_argument("source", help="/dev/video0, a file, a URI, or a launch line such as 'pulsetestsrc bpm=72'")
    options = parser.parse_args()
    watch = Watch(options.low, options.high)
    try:
        play(build(options.source), watch)
    except GLib.Error as error:
        sys.exit(error.message)
    print(f"{watch.frames} frames, {watch.samples} pulse samples")


main()
