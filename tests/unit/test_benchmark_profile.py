"""The profile of a step: groups of operators, and that nothing of the time is lost."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.profile.groups import REST, StepProfile, group_of, profile_step, profile_table


@pytest.mark.parametrize(
    ("operator", "group"),
    [
        ("convolution_backward", "convolutions, backward"),
        ("mkldnn_convolution", "convolutions, forward"),
        ("cudnn_convolution_transpose", "convolutions, forward"),
        ("native_batch_norm_backward", "norms"),
        ("leaky_relu_", "activations"),
        ("_fused_adam_", "optimisers"),
        ("addcdiv_", "optimisers"),
        ("reflection_pad2d_backward", "joining, padding, copying"),
        ("cat", "joining, padding, copying"),
        ("avg_pool2d", "pooling, interpolation"),
        ("addmm", "matrix products"),
        ("mean", REST),
    ],
)
def test_groups(operator: str, group: str) -> None:
    assert group_of(operator) == group


def test_a_profile_finds_what_a_step_does(tmp_path: Path) -> None:
    conv = nn.Conv2d(8, 8, 3)
    images = torch.randn(4, 8, 64, 64)

    def step() -> None:
        conv(images).relu().sum().backward()

    found = profile_step(step, torch.device("cpu"), trace=tmp_path / "trace.json")
    assert found.calls["activations"] == 2  # relu and its backward
    assert next(iter(found.seconds)).startswith("convolutions")  # most first
    # Operators take a part of a step's time, and most of it where they are large.
    assert 0.2 * found.wall < sum(found.seconds.values()) < 5 * found.wall
    names = {event.get("name") for event in json.loads((tmp_path / "trace.json").read_text())["traceEvents"]}
    assert "aten::convolution_backward" in names


def test_the_table_has_shares_that_add_up() -> None:
    profiles = {
        "published": StepProfile(0.5, {"norms": 0.3, "activations": 0.1}, {"norms": 7, "activations": 2}),
        "tandem": StepProfile(0.2, {"norms": 0.1}, {"norms": 3}),
    }
    lines = profile_table(profiles).splitlines()
    assert lines[2] == "| norms | 300.0 | 75.0 | 7 | 100.0 | 100.0 | 3 |"
    assert lines[3] == "| activations | 100.0 | 25.0 | 2 | 0.0 | 0.0 | 0 |"
    assert lines[4] == "| all | 400.0 | 100 | 9 | 100.0 | 100 | 3 |"
    assert lines[5].startswith("| a step without profiler | 500.0 ")
