"""The model card's tables: rows, figures and what is missing, from figures as `hrnet evaluate` writes them."""

import io
import json
import sys
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
import card_tables  # noqa: E402

READ = {"n": 11, "mae": 0.834, "rmse": 1.117, "r": 0.8599, "within2": 0.909, "within5": 1.0,
        "confident": {"coverage": 0.5, "mae": 0.25, "within5": 1.0},
        "negative": {"ok": None}, "se_subjects": {"mae": None}}


class CardTables(unittest.TestCase):
    def test_a_row_a_method_a_value_and_a_bin(self):
        window = {"all": {name: READ for name in card_tables.METHODS},
                  "by": {"codec": [{"value": "vp9", "methods": {"network": READ}}]},
                  "reliability": [{"from": 0.2, "n": 3, "stated": 0.2, "observed": 1 / 3},
                                  {"from": 0.3, "n": 0, "stated": None, "observed": None}]}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "figures.json"
            file.write_text(json.dumps({"windows": [window]}))
            out = io.StringIO()
            with mock.patch("sys.argv", ["card_tables.py", str(file)]), redirect_stdout(out):
                card_tables.main()
        methods, codecs, bins = out.getvalue().strip().split("\n\n")
        shares = "90.9 % | 100.0 % | 50.0 % | 0.25 | 100.0 % | – |"
        self.assertEqual(methods.splitlines()[2], f"| **network** | 11 | 0.83 ± – | 1.1 | 0.860 | {shares}")
        self.assertEqual([row.split(" | ")[0] for row in methods.splitlines()[3:]], ["| POS", "| CHROM", "| GREEN"])
        self.assertEqual(codecs.splitlines()[0].split(" | ")[0], "| Codec")
        self.assertEqual(codecs.splitlines()[2:], [f"| vp9 | 11 | 0.83 | {shares}"])
        self.assertEqual(bins.splitlines()[2:], ["| 0.2 to 0.3 | 3 | 0.20 | 33.3 % |", "| 0.3 to 0.4 | 0 | – | – |"])


if __name__ == "__main__":
    unittest.main()
