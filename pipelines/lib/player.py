"""What the scripts in Python share: launch lines, their ends in one line, and the wish to stop."""

import signal
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

Gst.init(None)


class Stop:
    """Whether Ctrl-C or SIGTERM asked for the end."""

    def __init__(self):
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.ask)

    def ask(self, *_):
        self.asked = True


def say(name, text):
    print(f"{name}: {text}", file=sys.stderr, flush=True)


def launch(words):
    """A pipeline from the words of a launch line; an error is a ValueError."""
    try:
        return Gst.parse_launch(" ".join(words))
    except GLib.Error as error:
        raise ValueError(error.message) from None


def describe(message):
    """An error message in one line, with what stands behind it where that is short."""
    error, debug = message.parse_error()
    detail = (debug or "").strip().splitlines()[-1:]
    detail = [d for d in detail if len(d) < 80 and "gst_" not in d and d != error.message]
    return " ".join([error.message] + [f"({d})" for d in detail])
