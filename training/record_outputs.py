#!/usr/bin/python3
"""Records the network's outputs on test pictures, for calibrating the confidence.

    GST_PLUGIN_PATH=target/release /usr/bin/python3 training/record_outputs.py DIR

Plays pulsetestsrc through facecrop and hrnetinfer in every combination of motion and light, once
with a pulse and once without, and writes what `hrnet signal` reads; the label is 0 throughout where
there is no pulse. Needs Debian's python3-gi.
"""

import itertools
import pathlib
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402, F401

MOTIONS = ["still", "slight", "moderate", "strong", "carry"]
LIGHTS = ["steady", "dim", "drift", "flicker", "step"]
RATES = [30, 15, 25]  # frames a second
SECONDS = 35
# Fields of a face that stand beside its pulse, and their columns.
NAMES = ["light", "light-around", "light-backdrop", "red", "green", "blue", "blood", "move-x", "move-y", "growth"]
BESIDE = {name: name.replace("-", "_") for name in NAMES}


def faces(buffer, name):
    """The structures of the array `faces` of the custom meta `name`, and their owner."""
    array = buffer.get_custom_meta(name).get_structure().get_array("faces")[1]
    return array, [array.get_nth(i) for i in range(array.n_values)]


def number(structure, name):
    """A field as text, empty where there is none."""
    known, value = structure.get_double(name)
    return f"{value:.7f}" if known else ""


def record(source, path):
    """Writes the samples of the only face of `source`."""
    launch = f"{source} ! facecrop ! hrnetinfer ! appsink name=sink sync=false"
    pipeline = Gst.parse_launch(launch)
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    with open(path, "w", encoding="utf-8") as out:
        print("prediction,label,time", *BESIDE.values(), sep=",", file=out)
        before = 0.0
        while sample := sink.pull_sample():
            buffer = sample.get_buffer()
            _owner, truth = faces(buffer, "PulseTestMeta")
            pulse = truth[0].get_double("pulse")[1]
            _owner2, read = faces(buffer, "HeartRateMeta")
            known, ppg = read[0].get_double("ppg") if read else (False, 0.0)
            if known:
                beside = ",".join(number(read[0], name) for name in BESIDE)
                print(f"{ppg:.6f},{pulse - before:.6f},{buffer.pts * 1e-9:.9f},{beside}", file=out)
            before = pulse
    pipeline.set_state(Gst.State.NULL)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    Gst.init(None)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    cases = itertools.product([1, 2], ["dead", "alive"], MOTIONS, LIGHTS)
    for number, (seed, kind, motion, light) in enumerate(cases):
        fps, bpm = RATES[number % 3], 42 + number * 37 % 150
        amplitude = 0 if kind == "dead" else 0.3 + 0.1 * (number % 6)
        record(
            f"pulsetestsrc bpm={bpm} pulse-amplitude={amplitude} motion={motion} light={light} "
            f"noise={1 + number % 3} seed={10 + seed} num-buffers={SECONDS * fps} "
            f"! video/x-raw,framerate={fps}/1",
            folder / f"{kind}-{motion}-{light}-{bpm}-{seed}.csv")


if __name__ == "__main__":
    main()
