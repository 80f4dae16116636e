"""Which runs are one setting: those that differ in their seed, and in what changes neither steps nor numbers."""

from pathlib import Path
from typing import Any

import pytest

from tandem.config.run import from_flat
from tandem.config.yaml import to_yaml
from tandem.evaluation.seed_groups import group_seeds


def run(folder: Path, **options: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(to_yaml(from_flat({"method": "bicyclegan", "steps": 10, **options})))
    return folder


@pytest.mark.parametrize(
    ("options", "is_same"),
    [
        ({}, True),
        ({"device": "cpu", "threads": 1, "num_workers": 0}, True),
        ({"log_every": 7, "keep_last": 4, "log": ["csv"], "decoded_gb": 0.0, "accumulate": 2}, True),
        ({"lambda_l1": 3.0}, False),
        ({"steps": 20}, False),
        ({"validate_every": 5}, False),
        ({"snapshot_every": 5}, True),
    ],
)
def test_runs_of_one_setting(tmp_path: Path, options: dict[str, Any], is_same: bool) -> None:
    paths = [run(tmp_path / "a", seed=0), run(tmp_path / "b", seed=1), run(tmp_path / "c", seed=2, **options)]
    groups = group_seeds(paths)
    assert [len(group.runs) for group in groups] == ([3] if is_same else [2, 1])


def test_a_copy_is_no_further_seed_and_names_differ(tmp_path: Path) -> None:
    out = tmp_path / "x"
    paths = [run(out / f"seed-{seed}", seed=seed) for seed in (0, 1)]
    paths += [run(tmp_path / "y" / "x" / f"seed-{seed}", seed=seed, lambda_l1=3.0) for seed in (0, 1)]
    groups = group_seeds(paths)
    assert [group.name for group in groups] == ["x", "x-2"]
    assert [list(group.runs.values()) for group in groups] == [paths[:2], paths[2:]]
    copied = [*paths[:2], run(tmp_path / "copy", seed=1)]
    assert [len(group.runs) for group in group_seeds(copied)] == [2, 1]
