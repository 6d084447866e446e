"""The loss, runs that are gone on with, and POS."""

import copy
import io
import sys
import tempfile
import unittest
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from data import batches, read_clips  # noqa: E402
from evaluate import green, pos, print_by, rate_errors, summary  # noqa: E402
from losses import pulse_loss, standardise  # noqa: E402
from network import read_config  # noqa: E402
from toy import write_toy  # noqa: E402
from train import Training, run  # noqa: E402


class Options(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        write_toy(self.path / "toy")
        self.clips = read_clips([self.path / "toy"])
        self.config = copy.deepcopy(read_config(ROOT / "config.toml"))
        self.config["model"].update(channels=[4, 8], dense=16)
        self.config["train"].update(batch_clips=4, epochs=1, stretch=64)

    def test_the_loss_mse_is_the_squared_error_alone(self):
        label = torch.sin(torch.arange(128) / 4)[None]
        weights = {**self.config["train"], "loss": "mse"}
        loss, _ = pulse_loss(standardise(label) + 0.5, label, torch.tensor([1 / 30]), weights)
        self.assertAlmostEqual(loss.item(), 0.25, delta=1e-5)
        self.config["train"]["loss"] = "mae"
        with self.assertRaisesRegex(ValueError, "loss is 'mae'"):
            Training(self.config, self.clips, self.path / "run")

    def test_bfloat16_is_for_processors_that_have_it(self):
        for asked, has, used in ((True, True, True), (True, False, False), (False, True, False)):
            self.config["train"]["bf16"] = asked
            with mock.patch("train.fast_bf16", return_value=has):
                training = Training(self.config, self.clips, self.path / "run")
            with mock.patch("train.torch.autocast", side_effect=torch.autocast) as autocast:
                training.step(next(batches(self.clips, training.config, 0)))
            self.assertEqual(autocast.call_args_list[0].kwargs["enabled"], used)

    def test_a_run_is_gone_on_with_its_own_clips_and_epochs_alone(self):
        run(Training(self.config, self.clips, self.path / "run"), [], "a toy", False)
        longer = copy.deepcopy(self.config)
        longer["train"]["epochs"] = 2
        for config, clips in ((longer, self.clips), (self.config, self.clips[:4])):
            with self.assertRaisesRegex(ValueError, "run.*clips or epochs"):
                Training(config, clips, self.path / "run").resume()

    def test_pos_reads_a_pulse_under_changing_light(self):
        clip = self.clips[0]
        light = 4 * np.sin(2 * np.pi * 1.9 * clip.time)[:, None]
        pulse = clip.label[:, None] / np.abs(clip.label).max() * np.array([0.33, 0.77, 0.53])
        motion = np.broadcast_to((light - pulse)[..., None, None], clip.motion.shape)
        lit = replace(clip, motion=motion.astype(np.float16))
        self.assertLess(rate_errors(lit, pos(lit))[0]["error"], 1.5)
        self.assertGreater(rate_errors(lit, green(lit))[0]["error"], 5)

    def test_groups_take_text_numbers_and_nothing(self):
        with redirect_stdout(io.StringIO()) as out:
            print_by([{"error": 1.0, "level": 12.0, "x": value} for value in ("h264", 3, 9.5, None)], "x", [4])
        names = [line.split(" n ")[0].split()[1:] for line in out.getvalue().splitlines()]
        self.assertEqual(names, [["h264"], ["to", "4"], ["to", "more"]])
        self.assertEqual(summary([]), "n    0")


if __name__ == "__main__":
    unittest.main()
