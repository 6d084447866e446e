"""What of bench_gpu.py needs no GPU."""

import os
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

import bench_gpu  # noqa: E402
from weights import load_model  # noqa: E402


class BenchGpu(unittest.TestCase):
    def test_without_a_gpu_it_says_so_and_exits_with_2(self):
        run = subprocess.run([sys.executable, ROOT / "bench_gpu.py"], capture_output=True, text=True,
                             env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
        self.assertEqual((run.returncode, run.stdout), (2, ""))
        self.assertIn("finds no GPU", run.stderr)

    def test_half_precision_runs_and_costs_less_than_a_hundredth(self):
        torch.manual_seed(1)
        maps = 3.4 * (torch.rand(2, 16, 3, 36, 36) - 0.5)
        whole, half = (load_model(bench_gpu.MODELS / "heartrate.safetensors")[0] for _ in range(2))
        with torch.inference_mode():
            a, b = whole(*maps), bench_gpu.halved(half)(*maps.half())
        relative = ((a - b).norm() / a.norm()).item()
        self.assertTrue(1e-6 < relative < 1e-2, relative)

    def test_runs_are_counted_and_the_slowest_are_the_99th_percentile(self):
        calls = []
        row = bench_gpu.measure(lambda: calls.append(0), batch=4, seconds=0.05)
        self.assertLessEqual(row["frames_per_second"], len(calls) * 4 / 0.05)
        self.assertGreater(row["frames_per_second"], 0)
        self.assertLessEqual(row["p50_ms"], row["p99_ms"])

    def test_hrnets_rows_stand_beside_pytorchs(self):
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "hrnet"
            # Says what it was asked for as its speed.
            program.write_text(f"""#!{sys.executable}
import json, sys
batches = [int(b) for b in sys.argv[sys.argv.index("--batch") + 1].split(",")]
assert sys.argv[1:5] == ["bench", "--backend", "tensorrt", "--json"]
print(json.dumps({{"rows": [{{"batch": b, "frames_per_second": 100 * len(batches), "p50_ms": 1, "p99_ms": 2}}
                            for b in batches]}}))
""")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            rows = bench_gpu.hrnet(str(program), [1, 8, 64], 0.5)
        self.assertEqual({b: r["frames_per_second"] for b, r in rows.items()}, {1: 100, 8: 200, 64: 200})
        torch_row = {"frames_per_second": 50, "p50_ms": 0.5, "p99_ms": 0.75}
        self.assertEqual(bench_gpu.line(8, torch_row, rows[8]),
                         "| 8 | 50 | 0.500 | 0.750 | 200 | 1.000 | 2.000 | 4.00 |")
        self.assertEqual(bench_gpu.HEAD.splitlines()[0].count("|"), bench_gpu.line(8, torch_row, rows[8]).count("|"))


if __name__ == "__main__":
    unittest.main()
