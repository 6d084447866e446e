"""Run with `python -m unittest discover -s training/tests`."""

import copy
import os
import subprocess
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
from evaluate import band_level, line_level, predict, rate, rate_errors, windows  # noqa: E402
from export import CONTRACT, to_onnx  # noqa: E402
from losses import band_correlation, peak_share, pulse_loss  # noqa: E402
from network import DeepPhys, ModelConfig, read_config  # noqa: E402
from toy import write_toy  # noqa: E402
from train import Training, configure, judge, parse_arguments, run  # noqa: E402
from weights import import_onnx, load_model  # noqa: E402

WEIGHTS = {"loss": "correlation", "derivative_weight": 0.3, "mse_weight": 0.3, "lifeless_weight": 1.0,
           "peak_weight": 0.5}
SMALL = ModelConfig(channels=(4, 8), dense=16)
# One of each kind: what is exported must compute what was trained.
KINDS = [
    SMALL,
    ModelConfig(first_stride=2, first_kernel=5, appearance_every=8),
    ModelConfig(channels=(8, 16), use_batch_norm=True),
    ModelConfig(channels=(8, 16), model_type="separable", data_format="channels_last"),
    ModelConfig(channels=(4, 8), input_size=72, first_stride=4, first_kernel=7),
]


def lively(config: ModelConfig) -> DeepPhys:
    """A network of random weights whose batch norms, if any, have seen something."""
    model = DeepPhys(config)
    for _ in range(3):
        model(*(2 * torch.randn(4, 3, config.input_size, config.input_size) + 1 for _ in range(2)))
    return model.eval()


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
        strided = ModelConfig(first_stride=2, first_kernel=5)
        self.assertAlmostEqual(strided.multiply_adds() / 1e6, 11.4, delta=0.1)
        self.assertAlmostEqual(strided.multiply_adds(8) / 1e6, 6.5, delta=0.1)

    def test_an_unknown_option_is_named(self):
        with self.assertRaisesRegex(ValueError, "chanels"):
            ModelConfig.read({"chanels": [1, 2]})
        with self.assertRaisesRegex(ValueError, "input_size is 40"):
            ModelConfig.read({"input_size": 40})


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

    def test_a_lifeless_stretch_wants_no_line_however_quiet(self):
        interval = torch.tensor([1 / 30])
        noise = torch.randn(1, 300, generator=torch.Generator().manual_seed(2)).diff(append=torch.zeros(1, 1))
        self.assertAlmostEqual(peak_share(0.01 * sine(84), interval).item(), 1, delta=0.05)
        self.assertLess(peak_share(noise, interval).item(), 0.35)
        nothing = torch.zeros(1, 300)
        lined, parts = pulse_loss(0.01 * sine(84), nothing, interval, WEIGHTS)
        mere, _ = pulse_loss(0.01 * noise, nothing, interval, WEIGHTS)
        self.assertGreater(lined.item(), mere.item() + 0.3)
        self.assertGreater(parts["peak"], 0.9)


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
        first, again, later = (next(batches(self.clips, {**self.config["train"], "appearance_every": 8}, e)) for e in (0, 0, 1))
        self.assertEqual(first.motion.shape, (4 * 64, 3, 36, 36))
        self.assertEqual(first.appearance.shape, (4 * 8, 3, 36, 36))
        torch.testing.assert_close(first.motion, again.motion)
        self.assertFalse(torch.equal(first.label, later.label))

    def train(self, name: str, epochs: int, resume: bool = False) -> Training:
        training = Training(self.config, self.clips, self.path / name)
        if resume:
            training.resume()
        training.config["epochs"] = epochs
        run(training, self.clips[:2], "a toy", resume)
        return training

    def test_a_resumed_run_is_the_uninterrupted_one(self):
        whole, _ = self.train("whole", 2), self.train("parts", 1)
        parts = self.train("parts", 2, resume=True)
        for name, value in whole.model.state_dict().items():
            torch.testing.assert_close(parts.model.state_dict()[name], value, rtol=0, atol=0, msg=name)
        log = (self.path / "parts" / "log.csv").read_text().splitlines()
        self.assertEqual(len(log), 1 + 2 * whole.steps)
        self.assertIn("<polyline", (self.path / "parts" / "curves.svg").read_text())

    def test_the_best_epoch_is_kept(self):
        training = Training(self.config, self.clips, self.path / "run")
        training.epoch = 1
        training.save("good", 0.9)
        with torch.no_grad():
            training.model.output.bias += 1
        training.save("worse", 0.5)
        self.assertEqual(load_model(self.path / "run" / "best.safetensors")[1], "good")
        model, note = load_model(self.path / "run" / "last.safetensors")
        self.assertEqual(note, "worse")
        torch.testing.assert_close(model.output.bias, training.model.output.bias)
        self.assertGreaterEqual(judge(training, self.clips), 0)

    def test_frozen_weights_stay(self):
        self.config["train"]["freeze"] = ["appearance", "attention"]
        training = Training(self.config, self.clips, self.path / "run")
        before = copy.deepcopy(training.model.state_dict())
        training.step(next(batches(self.clips, training.config, 0)))
        for name, value in training.model.state_dict().items():
            same = torch.equal(value, before[name])
            self.assertEqual(same, name.startswith(("appearance", "attention")), name)

    def test_what_does_not_fit_is_named(self):
        for key, value, message in [("freeze", ["apearance"], "apearance"), ("stretch", 1000, "160 frames"),
                                    ("stretch", 60, "no multiple"), ("batch_clips", 99, "no batch")]:
            config = copy.deepcopy(self.config)
            config["model"]["appearance_every"] = 8
            config["train"][key] = value
            with self.assertRaisesRegex(ValueError, message):
                Training(config, self.clips, self.path / "run")
        self.train("begun", 1)
        self.config["train"]["seed"] += 1
        with self.assertRaisesRegex(ValueError, "seed"):
            self.train("begun", 2, resume=True)

    def test_frozen_batch_norms_keep_what_they_have_seen(self):
        self.config["model"]["use_batch_norm"] = True
        self.config["train"]["freeze"] = ["appearance"]
        training = Training(self.config, self.clips, self.path / "run")
        training.prepare_to_learn()
        training.step(next(batches(self.clips, training.config, 0)))
        means = {n: v for n, v in training.model.state_dict().items() if n.endswith("running_mean")}
        for name, mean in means.items():
            self.assertEqual(bool(torch.all(mean == 0)), name.startswith("appearance"), name)

    def test_held_out_clips_without_a_pulse_or_a_rate_stop_nothing(self):
        training = Training(self.config, self.clips, self.path / "run")
        self.assertIsNone(judge(training, [c for c in self.clips if not c.alive]))
        clip = copy.copy(self.clips[0])
        clip.bpm = np.full_like(clip.bpm, np.nan)
        self.assertEqual(rate_errors(clip, clip.label), [])

    def test_the_command_line_overrides_the_file(self):
        sys.argv = ["train.py", "--data", "d", "--out", "o", "--fine-tune", "--set", "train.epochs=2",
                    "--set", "model.model_type=separable"]
        config = configure(parse_arguments())
        self.assertEqual(config["train"]["epochs"], 2)
        self.assertEqual(config["train"]["learning_rate"], config["fine_tune"]["learning_rate"])
        self.assertEqual(config["model"]["model_type"], "separable")
        sys.argv += ["--set", "train.epoch=2"]
        with self.assertRaisesRegex(SystemExit, "no train.epoch"):
            configure(parse_arguments())

    def test_evaluation_reads_the_label(self):
        clip = self.clips[0]
        self.assertEqual(windows(clip), [slice(0, 160)])
        (row,) = rate_errors(clip, clip.label)
        self.assertLess(row["error"], 1.0)
        model = DeepPhys(SMALL).eval()
        whole, rarely = predict(model, clip), predict(model, clip, 7)
        self.assertEqual((whole.shape, rarely.shape), ((160,), (160,)))
        np.testing.assert_allclose(rarely[::7], whole[::7], atol=1e-5)
        sine = np.sin(2 * np.pi * 1.5 * clip.time)
        self.assertAlmostEqual(band_level(sine, clip), 0.5**0.5, delta=0.05)


class Evaluation(unittest.TestCase):
    def test_a_line_stands_out_by_what_it_was_made_with(self):
        rng = np.random.default_rng(7)
        levels = []
        for _ in range(50):
            interval = rng.uniform(0.02, 0.045, 300)
            time = np.cumsum(interval)
            # Steps of a white wave: their noise is uneven in frequency, as a derivative's is.
            noise = np.diff(rng.standard_normal(301)) / interval
            pulse = 5 * np.cos(2 * np.pi * 1.4 * (time - interval / 2))
            levels.append(line_level(time, interval, pulse + noise, 84))
        # Hann, T = 9.75 s: the line has (5 T / 4)^2, the noise (2 pi f)^2 T^2 3 / 8 / 300.
        expected = 10 * np.log10((5 / 4) ** 2 / ((2 * np.pi * 1.4) ** 2 * 3 / 8 / 300))
        self.assertAlmostEqual(np.mean(levels), expected, delta=0.7)

    def test_rate_follows_uneven_time(self):
        rng = np.random.default_rng(3)
        interval = rng.uniform(0.02, 0.06, 280)
        time = np.cumsum(interval)
        for bpm in (45, 72, 150, 230):
            derivative = np.cos(2 * np.pi * bpm / 60 * (time - interval / 2))
            self.assertAlmostEqual(rate(time, interval, derivative), bpm, delta=1)


def pictures(config: ModelConfig, count: int) -> list[torch.Tensor]:
    return [torch.randn(count, 3, config.input_size, config.input_size) for _ in range(2)]


def arranged(config: ModelConfig, maps: torch.Tensor) -> np.ndarray:
    last = config.data_format == "channels_last"
    return np.ascontiguousarray((maps.permute(0, 2, 3, 1) if last else maps).numpy())


class Export(unittest.TestCase):
    def run_both(self, model: DeepPhys, fp16: bool) -> tuple[np.ndarray, np.ndarray]:
        proto = to_onnx(model, "test", fp16)
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        maps = pictures(model.config, 5)
        names = ("motion_input", "appearance_input")
        (found,) = session.run(["ppg"], {n: arranged(model.config, m) for n, m in zip(names, maps)})
        with torch.inference_mode():
            return found, model(*maps).numpy()

    def test_parity_with_onnxruntime(self):
        torch.manual_seed(0)
        for config in KINDS:
            model = lively(config)
            found, expected = self.run_both(model, fp16=False)
            self.assertEqual(found.shape, (5, 1))
            np.testing.assert_allclose(found[:, 0], expected, atol=1e-4)
            found, expected = self.run_both(model, fp16=True)
            np.testing.assert_allclose(found[:, 0], expected, atol=2e-3)

    def test_parity_with_the_plugin(self):
        program = os.environ.get("RUN_MODEL")
        if not program:
            self.skipTest("RUN_MODEL does not name the built example run_model")
        torch.manual_seed(1)
        with tempfile.TemporaryDirectory() as folder:
            file, data = Path(folder) / "model.onnx", Path(folder) / "maps"
            for config in KINDS:
                model, maps = lively(config), pictures(config, 6)
                file.write_bytes(to_onnx(model, "test", False).SerializeToString())
                data.write_bytes(b"".join(arranged(config, m).tobytes() for m in maps))
                lines = subprocess.run([program, file, data], check=True, capture_output=True, text=True)
                found = np.array([float(line) for line in lines.stdout.split()])
                with torch.inference_mode():
                    np.testing.assert_allclose(found, model(*maps).numpy(), atol=1e-4)

    def test_a_deployed_network_can_be_trained_on(self):
        torch.manual_seed(2)
        with tempfile.TemporaryDirectory() as folder:
            for config in [k for k in KINDS if not k.use_batch_norm]:
                model = lively(config)
                file = Path(folder) / "model.onnx"
                file.write_bytes(to_onnx(model, "3 clips", False).SerializeToString())
                again, note = import_onnx(file)
                self.assertEqual(again.config.input_size, config.input_size)
                self.assertEqual(note, "3 clips")
                maps = pictures(config, 3)
                with torch.inference_mode():
                    torch.testing.assert_close(again(*maps), model(*maps))

    def test_what_ships_trainable_is_what_ships(self):
        models = ROOT.parent / "models"
        model, note = load_model(models / "heartrate.safetensors")
        deployed, deployed_note = import_onnx(models / "heartrate.onnx")
        self.assertEqual(deployed_note, note)
        for name, value in deployed.state_dict().items():
            torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-3, atol=1e-4, msg=name)

    def test_metadata(self):
        proto = to_onnx(DeepPhys(SMALL), "note", True)
        props = {p.key: p.value for p in proto.metadata_props}
        self.assertLessEqual(CONTRACT.items(), props.items())
        self.assertEqual(props["hrnet.training"], "note")
        self.assertEqual(props["hrnet.appearance_every"], "1")


if __name__ == "__main__":
    unittest.main()
