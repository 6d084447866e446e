#!/usr/bin/python3
"""Plays a launch line that writes pictures, and writes down when each was taken.

record.py NAME FOLDER SECONDS LAUNCH WORDS...

The line ends in a multifilesink named `images` that posts messages. FOLDER gets image_timestamps.csv:
ID (the number in the picture's name) and Time, seconds since the first picture. SECONDS is how long,
0 for the whole stream.
"""

import os
import sys
import time

from player import Gst, Stop, describe, launch, say

PATIENCE = 10  # seconds for the end of the stream after it was asked for


class Recording:
    def __init__(self, pipeline, table, seconds):
        self.pipeline = pipeline
        self.table = table
        self.seconds = seconds
        self.first = None  # timestamp of the first picture, ns
        self.count = 0
        self.ending = None  # when the end was asked for

    def add(self, picture):
        """Writes a picture's row; a ValueError where its time is not known."""
        known, time_ns = picture.get_uint64("timestamp")
        if not known or time_ns == Gst.CLOCK_TIME_NONE:
            raise ValueError("the pictures have no times")
        if self.first is None:
            self.first = time_ns
        taken = (time_ns - self.first) / 1e9
        index = picture.get_int("index")[1]
        self.table.write(f"{index:04d},{taken:.6f}\n")
        self.count += 1
        if self.seconds and taken >= self.seconds:
            self.end()

    def end(self):
        if self.ending is None:
            self.ending = time.monotonic()
            self.pipeline.send_event(Gst.Event.new_eos())

    def follow(self, stop):
        """Records to the end; why it ended before, else None."""
        bus = self.pipeline.get_bus()
        kinds = Gst.MessageType.ERROR | Gst.MessageType.EOS | Gst.MessageType.ELEMENT
        while True:
            message = bus.timed_pop_filtered(Gst.SECOND // 5, kinds)
            if stop.asked:
                self.end()
            if message is None:
                if self.ending and time.monotonic() - self.ending > PATIENCE:
                    return "the stream did not end when asked to"
            elif message.type == Gst.MessageType.ERROR:
                return describe(message)
            elif message.type == Gst.MessageType.EOS:
                return None
            elif message.get_structure().get_name() == "GstMultiFileSink":
                self.add(message.get_structure())


def main():
    name, folder, seconds, *words = sys.argv[1:]
    stop, pipeline = Stop(), launch(words)
    with open(os.path.join(folder, "image_timestamps.csv"), "w", encoding="ascii") as table:
        table.write("ID,Time\n")
        recording = Recording(pipeline, table, float(seconds))
        pipeline.set_state(Gst.State.PLAYING)
        try:
            error = recording.follow(stop)
        except ValueError as wrong:
            error = str(wrong)
        pipeline.set_state(Gst.State.NULL)
    if error is not None:
        say(name, error)
        return 1
    if recording.count < 2:
        say(name, "no pictures" if not recording.count else "a single picture")
        return 1
    say(name, f"{recording.count} pictures")
    return 0


sys.exit(main())
