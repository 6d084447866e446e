"""The curves of a run as one SVG: loss by step, and the held-out share within 5 bpm by epoch."""

import csv
from pathlib import Path

WIDTH, HEIGHT, EDGE = 640, 240, 40


def write_curves(run: Path) -> None:
    """Reads log.csv and held_out.csv in `run` and writes curves.svg beside them."""
    losses = smooth([float(row["loss"]) for row in read(run / "log.csv")])
    held_out = [float(row["within5"]) for row in read(run / "held_out.csv")]
    panels = [panel("loss, mean over 50 steps", losses, 0),
              panel("held out, share within 5 bpm", held_out, HEIGHT)]
    text = "\n".join(panels)
    beside = run / "curves.partial"
    beside.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{2 * HEIGHT}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        f"{text}\n</svg>\n")
    beside.rename(run / "curves.svg")


def read(path: Path) -> list[dict]:
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def smooth(values: list[float], width: int = 50) -> list[float]:
    """Means over `width` values, not overlapping, the last one of what is left."""
    parts = [values[i : i + width] for i in range(0, len(values), width)]
    return [sum(part) / len(part) for part in parts]


def panel(title: str, values: list[float], top: float) -> str:
    """One curve with its least and greatest value."""
    head = f'<text x="{EDGE}" y="{top + 18}">{title}</text>'
    if not values:
        return head
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    x = lambda i: EDGE + (WIDTH - 2 * EDGE) * i / max(1, len(values) - 1)
    y = lambda v: top + HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (v - low) / span
    points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(values))
    marks = "".join(f'<text x="2" y="{y(v) + 4:.1f}">{v:.3f}</text>' for v in (low, high))
    return f'{head}{marks}<polyline points="{points}" fill="none" stroke="#0072b2" stroke-width="2"/>'
