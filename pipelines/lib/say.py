#!/usr/bin/python3
"""Reads bpm2json's lines and prints them for people, a line a face; with --json as they are."""

import json
import signal
import sys


def words(face):
    """What is known of a face."""
    if "bpm" in face:
        return f"{face['bpm']:6.1f} bpm  confidence {face['confidence']:.2f}"
    return " ".join([face["status"], ", ".join(face["reasons"])]).strip()


def say(line):
    record = json.loads(line)
    head = f"{record.get('stream-time', 0) / 1e9:7.1f} s  {record['stream']}"
    faces = [face for face in record["faces"] if face["status"] != "lost"]
    if not faces:
        print(f"{head}  no face")
    for face in faces:
        print(f"{head}  face {face['id']}  {words(face)}")


def main():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it is the source that ends
    try:
        for line in sys.stdin:
            if "--json" in sys.argv[1:]:
                sys.stdout.write(line)
            else:
                say(line)
            sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads on, as with `| head`


main()
