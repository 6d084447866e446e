"""The shipped network on this machine's GPU: PyTorch in FP16 with CUDA graphs beside `hrnet bench`.

    python training/bench_gpu.py --hrnet target/release/hrnet --batch 1,8,16,64 --seconds 5

Both are measured from float32 maps in the host's memory to samples there: that is what the element
has. Exits with 2 where there is no GPU.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from network import DeepPhys
from weights import load_model

MODELS = Path(__file__).parents[1] / "models"
HEAD = ("| batch | PyTorch, frames/s | p50, ms | p99, ms | TensorRT, frames/s | p50, ms | p99, ms | times as fast |\n"
        "|---|---|---|---|---|---|---|---|")


def halved(model: DeepPhys) -> DeepPhys:
    """In half precision but for the last layer, which `forward` runs in single."""
    model.half()
    model.output.float()
    return model


def measure(run, batch: int, seconds: float) -> dict:
    """Calls `run` for so long, after a tenth of that; frames/s and milliseconds, named as `hrnet bench` does."""
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds / 10:
        run()
    start = end = time.perf_counter()
    while end - start < seconds:
        before = time.perf_counter()
        run()
        end = time.perf_counter()
        times.append(end - before)
    p50, p99 = np.quantile(times, [0.5, 0.99], method="inverted_cdf") * 1e3
    return {"frames_per_second": len(times) * batch / (end - start), "p50_ms": p50, "p99_ms": p99}


def graphed(model: DeepPhys, batch: int):
    """A function that runs `batch` pairs of noise by a CUDA graph that holds the copies, too."""
    size = model.config.input_size
    maps = 3.4 * (torch.rand(2, batch, 3, size, size) - 0.5)
    pinned, samples = torch.empty_like(maps).pin_memory(), torch.empty(batch).pin_memory()
    device = torch.empty_like(maps, device="cuda")

    def queue():
        device.copy_(pinned, non_blocking=True)
        samples.copy_(model(*device.half()), non_blocking=True)

    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream), torch.inference_mode():
        for _ in range(3):
            queue()
        stream.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            queue()

    def run():
        pinned.copy_(maps)
        with torch.cuda.stream(stream):
            graph.replay()
        stream.synchronize()
        return samples.numpy()

    return run


def hrnet(program: str, batches: list[int], seconds: float) -> dict[int, dict]:
    """Rows of `hrnet bench` by batch. Batch 1 has an engine of its own, made for that."""
    rows = {}
    for group in ([b for b in batches if b == 1], [b for b in batches if b != 1]):
        if group:
            command = [program, "bench", "--backend", "tensorrt", "--json", "--seconds", str(seconds),
                       "--batch", ",".join(map(str, group))]
            report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            rows |= {row["batch"]: row for row in report["rows"]}
    return rows


def line(batch: int, torch_row: dict, own: dict) -> str:
    cells = [f"{row['frames_per_second']:.0f} | {row['p50_ms']:.3f} | {row['p99_ms']:.3f}" for row in (torch_row, own)]
    ratio = own["frames_per_second"] / torch_row["frames_per_second"]
    return f"| {batch} | {cells[0]} | {cells[1]} | {ratio:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hrnet", default="target/release/hrnet", help="built with the cargo feature tensorrt")
    parser.add_argument("--batch", default="1,8,16,64")
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("bench_gpu.py: PyTorch finds no GPU (CUDA): nothing measured", file=sys.stderr)
        sys.exit(2)
    batches = [int(b) for b in args.batch.split(",")]
    model = halved(load_model(MODELS / "heartrate.safetensors")[0]).cuda()
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}", HEAD, sep="\n")
    own = hrnet(args.hrnet, batches, args.seconds)
    for batch in batches:
        print(line(batch, measure(graphed(model, batch), batch, args.seconds), own[batch]))


if __name__ == "__main__":
    main()
