"""Options of `tandem.train` in Python's own types, beside the texts of the command."""

from typing import Any

import numpy as np
import pytest

from tandem.api import _resolved
from tandem.config.run import to_flat
from tandem.errors import ConfigError

RANGES = {"input_channels": 1, "output_channels": 2}


@pytest.mark.parametrize(
    ("name", "given", "text", "more"),
    [
        ("size", (32, 48), "32x48", {"load_size": "64x64"}),
        ("size", np.array([32, 48]), "32x48", {"load_size": "64x64"}),
        ("load_size", [np.int64(300), 400], "300x400", {}),
        ("range_a", (-1000, 3000), "-1000,3000", RANGES),
        ("range_b", [(0, 1.5), (-2, 1)], "0,1.5;-2,1", RANGES),
        ("range_b", ("0.1%", "99.9%"), "0.1%,99.9%", RANGES),
        ("validate_metrics", ["l1", "ssim"], "l1,ssim", {"validate_every": 10}),
        ("freeze", ("encoder",), "encoder", {"init_from": "runs/x"}),
    ],
)
def test_several_values_are_the_text_of_the_command(name: str, given: Any, text: str, more: dict[str, Any]) -> None:
    expected, _ = _resolved("data", "out", more | {name: text})
    found, _ = _resolved("data", "out", more | {name: given})
    assert to_flat(found) == to_flat(expected)
    assert to_flat(found)[name] == text


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("size", (32, 48, 3), "must be a number of pixels or HEIGHTxWIDTH, e.g. 256 or 256x512, not '32x48x3'"),
        ("size", (), r"not \(\)"),
        ("size", (True, 3), r"not \(True, 3\)"),
        ("range_b", [(0, 1), 2], r"--range-b must be text, not \[\(0, 1\), 2\]"),
        ("steps", (1, 2), r"--steps must be a whole number of at least 0?1?, not \(1, 2\)"),
    ],
)
def test_what_is_no_value_of_the_option(name: str, given: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        _resolved("data", "out", {name: given})
