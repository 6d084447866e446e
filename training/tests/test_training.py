"""Run with `python -m unittest discover -s training/tests`."""

import copy
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnxruntime
import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from data import batches, read_clips  # noqa: E402
from evaluate import predict, rate, rate_errors, windows  # noqa: E402
from export import CONTRACT, to_onnx  # noqa: E402
from losses import band_correlation, pulse_loss  # noqa: E402
from network import DeepPhys, ModelConfig, load_model, read_config  # noqa: E402
from toy import write_toy  # noqa: E402
from train import Training  # noqa: E402

WEIGHTS = {"derivative_weight": 0.3, "mse_weight": 0.3, "lifeless_weight": 1.0}
SMALL = ModelConfig(channels=(4, 8), dense=16)


def sine(bpm: float, frames: int = 300, fps: float = 30.0) -> torch.Tensor:
    return torch.cos(2 * torch.pi * bpm / 60 * torch.arange(frames) / fps)[None]


class Network(unittest.TestCase):
    def test_shapes_and_repeated_appearance(self):
        model = DeepPhys(SMALL).eval()
        motion, appearance = torch.randn(6, 3, 36, 36), torch.randn(2, 3, 36, 36)
        whole = model(motion, appearance.repeat_interleave(3, 0))
        self.assertEqual(whole.shape, (6,))
        torch.testing.assert_close(model(motion, appearance), whole)

    def test_a_mask_has_mean_one_half(self):
        for mask in DeepPhys(SMALL).masks(torch.randn(2, 3, 36, 36)):
            torch.testing.assert_close(mask.mean((1, 2, 3)), torch.full((2,), 0.5))

    def test_multiply_adds(self):
        # The paper's network at 36 x 36.
        self.assertAlmostEqual(ModelConfig().multiply_adds() / 1e6, 51.2, delta=0.5)

    def test_an_unknown_option_is_named(self):
        with self.assertRaisesRegex(ValueError, "chanels"):
            ModelConfig.read({"chanels": [1, 2]})


class Losses(unittest.TestCase):
    def test_band_correlation_ignores_scale_and_what_is_out_of_band(self):
        interval = torch.tensor([1 / 30])
        pulse, fast, other = sine(72), sine(600), sine(110)
        self.assertAlmostEqual(band_correlation(7 * pulse + fast, pulse, interval).item(), 1, delta=0.01)
        self.assertAlmostEqual(band_correlation(-pulse, pulse, interval).item(), -1, delta=0.01)
        self.assertLess(abs(band_correlation(other, pulse, interval).item()), 0.05)

    def test_a_lifeless_stretch_wants_silence(self):
        label = torch.cat([sine(72), torch.zeros(1, 300)])
        interval = torch.full((2,), 1 / 30)
        quiet, _ = pulse_loss(label.clone(), label, interval, WEIGHTS)
        loud, parts = pulse_loss(label.roll(1, 0) + label, label, interval, WEIGHTS)
        self.assertGreater(loud.item(), quiet.item())
        self.assertAlmostEqual(parts["mse_lifeless"], 0.5, delta=0.05)


class Data(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)
        write_toy(self.path / "toy")
        self.clips = read_clips([self.path / "toy"])
        self.config = copy.deepcopy(read_config(ROOT / "config.toml"))
        self.config["model"].update(channels=[4, 8], dense=16, first_stride=1, first_kernel=3)
        self.config["train"].update(batch_clips=4, epochs=2, stretch=64)

    def test_clips_are_read(self):
        self.assertEqual(len(self.clips), 8)
        self.assertEqual(self.clips[0].motion.shape, (160, 3, 36, 36))
        self.assertEqual([clip.alive for clip in self.clips[:4]], [True, True, True, False])
        self.assertEqual(self.clips[0].attributes["face"], "toy")

    def test_batches_repeat_by_seed(self):
        first, again, later = (next(batches(self.clips, self.config["train"], e)) for e in (0, 0, 1))
        self.assertEqual(first.motion.shape, (4 * 64, 3, 36, 36))
        self.assertEqual(first.appearance.shape, (4 * 8, 3, 36, 36))
        torch.testing.assert_close(first.motion, again.motion)
        self.assertFalse(torch.equal(first.label, later.label))

    def test_training_saves_and_resumes(self):
        training = Training(self.config, self.clips, self.path / "run")
        losses = [training.step(batch)["loss"] for batch in batches(self.clips, training.config, 0)]
        self.assertTrue(np.all(np.isfinite(losses)))
        training.epoch = 1
        training.save("a toy")
        resumed = Training(self.config, self.clips, self.path / "run")
        resumed.resume()
        self.assertEqual(resumed.epoch, 1)
        model, note = load_model(self.path / "run" / "model.pt")
        self.assertEqual(note, "a toy")
        torch.testing.assert_close(model.output.weight, resumed.model.output.weight)

    def test_evaluation_reads_the_label(self):
        clip = self.clips[0]
        self.assertEqual(windows(clip), [slice(0, 160)])
        (row,) = rate_errors(clip, clip.label)
        self.assertLess(row["error"], 1.0)
        self.assertEqual(predict(DeepPhys(SMALL).eval(), clip).shape, (160,))


class Evaluation(unittest.TestCase):
    def test_rate_follows_uneven_time(self):
        rng = np.random.default_rng(3)
        interval = rng.uniform(0.02, 0.06, 280)
        time = np.cumsum(interval)
        for bpm in (45, 72, 150, 230):
            derivative = np.cos(2 * np.pi * bpm / 60 * (time - interval / 2))
            self.assertAlmostEqual(rate(time, interval, derivative), bpm, delta=1)


class Export(unittest.TestCase):
    def run_both(self, model: DeepPhys, fp16: bool) -> tuple[np.ndarray, np.ndarray]:
        proto = to_onnx(model, "test", fp16)
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        maps = [torch.randn(5, 3, 36, 36) for _ in range(2)]
        names = ("motion_input", "appearance_input")
        (found,) = session.run(["ppg"], {n: m.numpy() for n, m in zip(names, maps)})
        with torch.inference_mode():
            return found, model(*maps).numpy()

    def test_parity_with_onnxruntime(self):
        torch.manual_seed(0)
        for config in (SMALL, ModelConfig(), ModelConfig(first_stride=2, first_kernel=5)):
            model = DeepPhys(config).eval()
            found, expected = self.run_both(model, fp16=False)
            self.assertEqual(found.shape, (5, 1))
            np.testing.assert_allclose(found[:, 0], expected, atol=1e-4)
            found, expected = self.run_both(model, fp16=True)
            np.testing.assert_allclose(found[:, 0], expected, atol=2e-3)

    def test_metadata(self):
        proto = to_onnx(DeepPhys(SMALL), "note", True)
        props = {p.key: p.value for p in proto.metadata_props}
        self.assertLessEqual(CONTRACT.items(), props.items())
        self.assertEqual(props["hrnet.training"], "note")


if __name__ == "__main__":
    unittest.main()
