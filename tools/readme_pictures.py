"""Remake the picture of the README from a finished demo.

    python tools/readme_pictures.py [RUN] [OUT]

Each row is one test drawing of the demo dataset, then samples of the demo's model; a column is one latent.
"""

import argparse
from pathlib import Path

import numpy as np

import tandem
from tandem.data.discover import find_splits
from tandem.data.synthetic import load_dataset_info
from tandem.report.grid import image_grid, save_image

SAMPLES = 8
SCALE = 2


def main() -> None:
    """Translate one drawing of each kind and save the grid."""
    parser = argparse.ArgumentParser(description="Remake the picture of the README from a finished demo.")
    parser.add_argument("run", nargs="?", type=Path, default=Path("runs/demo"), help="folder of the demo")
    parser.add_argument("out", nargs="?", type=Path, default=Path("docs/images/demo.png"), help="the picture")
    args = parser.parse_args()
    translator = tandem.load(args.run / "bicyclegan")
    info = load_dataset_info(args.run / "data")
    first_of_kind = {}
    for pair in find_splits(args.run / "data")["test"].pairs:
        first_of_kind.setdefault(info.entry("test", pair.name).kind, pair)
    rows: list[list[np.ndarray]] = []
    for pair in first_of_kind.values():
        drawing, _ = pair.read("AtoB", channels_a=3, channels_b=3)
        rows.append([drawing, *translator(drawing, SAMPLES, seed=1, output="array")])
    save_image(image_grid(rows, scale=SCALE), args.out)


if __name__ == "__main__":
    main()
