#!/usr/bin/python3
"""An RTSP server on loopback with a test face: rtsp_server.py PORT BPM. Prints a line once it serves."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
port, bpm = sys.argv[1:]
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( pulsetestsrc is-live=true bpm={bpm} ! video/x-raw,width=320,height=240,framerate=20/1 ! "
    "jpegenc quality=95 ! rtpjpegpay name=pay0 )"
)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
server.get_mount_points().add_factory("/face", factory)
assert server.attach(None), "the port is taken"
print("serves", flush=True)
GLib.MainLoop().run()
