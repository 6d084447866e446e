"""Averages the weights of two networks of one ancestry (Wortsman et al. 2022, "Model soups").

    python training/average.py FIRST.safetensors SECOND.safetensors SHARE OUT.safetensors

OUT has SHARE of SECOND's weights and the rest of FIRST's.
"""

import sys

from weights import load_model, save_model


def main() -> None:
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    (first, note), (second, other) = (load_model(path) for path in sys.argv[1:3])
    share, weights = float(sys.argv[3]), second.state_dict()
    second.load_state_dict({k: (1 - share) * v + share * weights[k] for k, v in first.state_dict().items()})
    save_model(sys.argv[4], second, f"{1 - share:g} of ({note}) and {share:g} of ({other})")


if __name__ == "__main__":
    main()
