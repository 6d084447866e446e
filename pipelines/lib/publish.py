#!/usr/bin/python3
"""Hands lines of its standard input to a command that ends well only when it has delivered them.

publish.py NAME HOLD PATIENCE COMMAND...

The command gets a batch of lines on its standard input. Where it fails, the same batch is handed to
it again, with a growing pause: no line is lost, one may come twice. Until a first batch has been
delivered a failure is the end: a wrong address is said at once. Up to HOLD lines are held, then
reading stops and with it the pipeline. At the end of the input PATIENCE seconds are given to what
is still held. Exit codes: 0, or 1 where lines were not delivered.
"""

import collections
import os
import re
import signal
import subprocess
import sys
import threading
import time

BATCH = 500  # lines
DELAYS = (0.5, 1, 2, 4, 5)  # seconds
TIMEOUT = 15  # seconds for a batch: a client that was connected when the broker went waits on


class Held:
    """Lines that are not delivered yet, filled by a thread of its own."""

    def __init__(self, limit):
        self.lines = collections.deque()
        self.limit = limit
        self.ended = False
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in sys.stdin.buffer:
            with self.changed:
                self.changed.wait_for(lambda: len(self.lines) < self.limit)
                self.lines.append(line)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def batch(self):
        """The oldest lines, which stay held; none at the end."""
        with self.changed:
            self.changed.wait_for(lambda: self.lines or self.ended)
            return [self.lines[i] for i in range(min(BATCH, len(self.lines)))]

    def delivered(self, count):
        with self.changed:
            for _ in range(count):
                self.lines.popleft()
            self.changed.notify_all()


def deliver(command, batch):
    """Why it failed, in one line; None where all is well."""
    try:
        done = subprocess.run(command, input=b"".join(batch), capture_output=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return f"no answer for {TIMEOUT} s"
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    words = done.stderr.decode(errors="replace").strip().splitlines()
    last = re.sub(r"^(% )?error: ", "", words[-1], flags=re.IGNORECASE) if words else ""
    return last or f"{command[0]} ended with exit code {done.returncode}"


def publish(name, held, patience, command):
    """Delivers until the end; the exit code."""

    def say(text):
        print(f"{name}: {text}", file=sys.stderr, flush=True)

    ever, failures, deadline = False, 0, None
    while batch := held.batch():
        error = deliver(command, batch)
        if error is None:
            if failures:
                say("delivering again")
            held.delivered(len(batch))
            ever, failures, deadline = True, 0, None
            continue
        if not ever:
            say(error)
            return 1
        if failures == 0:
            say(f"{error}; lines are held, and sent again")
        if held.ended and deadline is None:
            deadline = time.monotonic() + patience
        if deadline is not None and time.monotonic() > deadline:
            say(f"{len(held.lines)} lines were not delivered")
            return 1
        time.sleep(DELAYS[min(failures, len(DELAYS) - 1)])
        failures += 1
    return 0


def main():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it is the source that ends
    name, hold, patience, *command = sys.argv[1:]
    code = publish(name, Held(int(hold)), float(patience), command)
    os._exit(code)  # at once: the reading thread may be waiting for a line


main()
