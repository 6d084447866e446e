#!/usr/bin/env python3
"""The tables of MODEL_CARD.md, from one run of `hrnet evaluate`.

    hrnet evaluate DATASET --by motion,light,… --json > figures.json
    python3 training/card_tables.py figures.json

Prints Markdown: the methods, one table an attribute, the reliability. Needs nothing but Python.
"""

import json
import sys

METHODS = ["network", "pos", "chrom", "green"]
TITLES = {"motion": "Motion", "light": "Light", "skin_tone": "Skin tone (Fitzpatrick)",
          "occlusion": "Occlusion", "codec": "Codec", "fps": "Frames a second", "bpm": "Rate, bpm",
          "kbit_s": "kbit/s (below 1: uncompressed, or motion JPEG)",
          "amplitude": "Pulse, peak modulation of green"}


def number(x, digits=2):
    return "–" if x is None else f"{x:.{digits}f}"


def percent(x):
    return "–" if x is None else f"{100 * x:.1f} %"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def shares(m):
    """What is read, what is shown of it, and what is shown of the lifeless."""
    sure = m["confident"]
    return [percent(m["within2"]), percent(m["within5"]), percent(sure["coverage"]), number(sure["mae"]),
            percent(sure["within5"]), percent(m["negative"]["ok"])]


SHARES = ["within 2", "within 5", "at ok", "MAE of these", "within 5", "negatives at ok"]


def of_methods(methods):
    rows = []
    for name in METHODS:
        m = methods[name]
        mae = f"{number(m['mae'])} ± {number(m['se_subjects']['mae'])}"
        label = f"**{name}**" if name == "network" else name.upper()
        rows.append([label, str(m["n"]), mae, number(m["rmse"], 1), number(m["r"], 3), *shares(m)])
    return table(["method", "readings", "MAE, bpm", "RMSE", "r", *SHARES], rows)


def of_attribute(key, groups):
    rows = [[group["value"], str(m["n"]), number(m["mae"]), *shares(m)]
            for group in groups for m in [group["methods"]["network"]]]
    return table([TITLES.get(key, key), "readings", "MAE", *SHARES], rows)


def of_reliability(bins):
    rows = [[f"{b['from']:.1f} to {b['from'] + 0.1:.1f}", str(b["n"]), number(b["stated"]), percent(b["observed"])]
            for b in bins]
    return table(["stated", "readings", "on average", "right"], rows)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        window = json.load(file)["windows"][0]
    print(of_methods(window["all"]))
    for key, groups in window["by"].items():
        print(of_attribute(key, groups))
    print(of_reliability(window["reliability"]))


if __name__ == "__main__":
    main()
