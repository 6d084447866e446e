"""The comparison of networks, its limits and its table."""

import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import candidates  # noqa: E402
from network import read_config  # noqa: E402
from toy import write_toy  # noqa: E402

TINY = "channels = [4, 8]\ndense = 16\n"


class Candidates(unittest.TestCase):
    def test_all_listed_are_within_the_limits(self):
        base = read_config(ROOT / "config.toml")["model"]
        listed = tomllib.loads((ROOT / "candidates.toml").read_text())
        self.assertGreaterEqual(len(listed), 7)
        for name, table in listed.items():
            candidates.refuse_excess(name, {**base, **table})
        with self.assertRaisesRegex(ValueError, "giant"):
            candidates.refuse_excess("giant", {**base, "input_size": 72, "channels": [64, 128]})

    def test_the_table_has_a_line_for_each_that_has_clips(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            write_toy(path / "toy", frames=128)
            (path / "list.toml").write_text(
                f"[a]\ninput_size = 36\n{TINY}[b]\ninput_size = 72\n{TINY}")
            toy, argv = str(path / "toy"), sys.argv
            sys.argv = ["candidates.py", "--list", str(path / "list.toml"), "--data", toy, "--val", toy,
                        "--epochs", "1", "--threads", "1", "--out", str(path / "out")]
            try:
                with self.assertRaisesRegex(ValueError, "no batch"):
                    candidates.main()
                write_toy(path / "toy", clips=10, frames=128)
                candidates.main()
            finally:
                sys.argv = argv
            head, rule, *rows = (path / "out" / "table.md").read_text().splitlines()
        self.assertEqual([row.split(" | ")[0] for row in rows], ["| a"])
        self.assertEqual({line.count("|") for line in (head, rule, *rows)}, {9})


if __name__ == "__main__":
    unittest.main()
