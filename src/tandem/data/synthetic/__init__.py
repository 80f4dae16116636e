"""The demo dataset: procedural objects; the drawing is A, a rendering in one of eight known modes is B.

The mode of B is drawn independently of A from known probabilities, so that a model's diversity can be
measured exactly: classify its samples with `classify_mode`, then ask for their `coverage`.
"""

from tandem.data.synthetic.coverage import Coverage, coverage, expected_coverage
from tandem.data.synthetic.dataset import DatasetOptions, split_index, write_dataset
from tandem.data.synthetic.drawing import (
    GENERATOR_VERSION,
    KINDS,
    MAX_SIZE,
    MIN_SIZE,
    Drawing,
    draw_mask,
    draw_pair,
    kind_of,
    mode_of,
)
from tandem.data.synthetic.info import DemoEntry, DemoInfo, DemoLayout, load_dataset_info
from tandem.data.synthetic.modes import CLASSIFY_THRESHOLD, MODES, Material, Mode, classify_mode, mode_weights

__all__ = [
    "CLASSIFY_THRESHOLD",
    "GENERATOR_VERSION",
    "KINDS",
    "MAX_SIZE",
    "MIN_SIZE",
    "MODES",
    "Coverage",
    "DatasetOptions",
    "DemoEntry",
    "DemoInfo",
    "DemoLayout",
    "Drawing",
    "Material",
    "Mode",
    "classify_mode",
    "coverage",
    "draw_mask",
    "draw_pair",
    "expected_coverage",
    "kind_of",
    "load_dataset_info",
    "mode_of",
    "mode_weights",
    "split_index",
    "write_dataset",
]
