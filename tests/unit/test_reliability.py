"""docs/reliability.md says what the code does: bounds are those of the constants, and every test is there."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
BOUNDS = re.findall(r"^\| .+ \| ([\d,]+) \| `([\w.]+)` \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("bound", "constant"), BOUNDS, ids=[constant for _, constant in BOUNDS])
def test_bounds_are_those_of_the_code(bound: str, constant: str) -> None:
    module, _, name = constant.rpartition(".")
    owner = module.rpartition(".")
    found = (
        getattr(getattr(importlib.import_module(owner[0]), owner[2]), name)
        if owner[2][0].isupper()
        else getattr(importlib.import_module(module), name)
    )
    assert found == int(bound.replace(",", ""))


def test_there_are_bounds_and_tests() -> None:
    assert len(BOUNDS) > 20
    named = set(re.findall(r"`((?:unit|integration)/test_\w+\.py)`", TEXT))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []
