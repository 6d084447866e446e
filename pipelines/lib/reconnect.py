#!/usr/bin/python3
"""Plays a launch line with a camera in it, and plays it again when the camera goes and comes.

reconnect.py NAME TRANSPORT TIMEOUT LONGEST WAIT LAUNCH WORDS...

The line has a uridecodebin named `camera` and an element named `json` that every frame reaches.
TRANSPORT is tcp or udp; no frame for TIMEOUT seconds counts as a lost camera; pauses grow up to
LONGEST seconds; WAIT is yes where the first connection may fail, too. Each connection has a pipeline
of its own, so that nothing of the last one is left in it.
"""

import gc
import sys
import time

from player import Gst, Stop, describe, launch, say

SHORTEST = 0.5  # seconds
LATENCY = 200  # ms that packets may be late


class Camera:
    def __init__(self, words, transport, timeout):
        self.words = words
        self.transport = transport
        self.timeout = timeout
        self.last = None  # when the last frame came

    def set_up(self, _, source):
        if source.get_factory().get_name() == "rtspsrc":
            source.set_property("latency", LATENCY)
            Gst.util_set_object_arg(source, "protocols", self.transport)

    def seen(self, *_):
        self.last = time.monotonic()
        return Gst.PadProbeReturn.OK

    def play(self, stop, name):
        """Plays one connection. Returns whether there were frames, and how it ended."""
        pipeline = launch(self.words)
        pipeline.get_by_name("camera").connect("source-setup", self.set_up)
        pad = pipeline.get_by_name("json").get_static_pad("sink")
        pad.add_probe(Gst.PadProbeType.BUFFER, self.seen)
        self.last = None
        pipeline.set_state(Gst.State.PLAYING)
        try:
            return self.follow(pipeline.get_bus(), stop, name)
        finally:
            pipeline.set_state(Gst.State.NULL)

    def follow(self, bus, stop, name):
        started, told = time.monotonic(), False
        ends = Gst.MessageType.ERROR | Gst.MessageType.EOS
        while not stop.asked:
            message = bus.timed_pop_filtered(Gst.SECOND // 5, ends)
            if message is not None:
                end = message.type == Gst.MessageType.EOS
                return told, "the stream ended" if end else describe(message)
            if self.last is not None and not told:
                say(name, "connected")
                told = True
            if time.monotonic() - (self.last or started) > self.timeout:
                return told, f"no picture for {self.timeout:g} s"
        return told, "stopped"


def pause(seconds, stop):
    end = time.monotonic() + seconds
    while not stop.asked and time.monotonic() < end:
        time.sleep(0.1)


def main():
    name, transport, timeout, longest, wait, *words = sys.argv[1:]
    stop, camera = Stop(), Camera(words, transport, float(timeout))
    delay, ever = SHORTEST, wait == "yes"
    while True:
        connected, end = camera.play(stop, name)
        gc.collect()
        if stop.asked:
            return 0
        if not (ever or connected):
            say(name, end)
            return 1
        delay = SHORTEST if connected else min(2 * delay, float(longest))
        ever = True
        say(name, f"{end}; again in {delay:g} s")
        pause(delay, stop)


sys.exit(main())
