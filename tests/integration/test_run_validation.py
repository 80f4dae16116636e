"""Validation while training: the numbers of ``tandem evaluate``, the same however a run is interrupted."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from support import (
    assert_same_run,
    fork,
    num_log_lines,
    state_of,
    tandem,
    tiny,
    train,
    until,
    wait_for,
    write_pairs,
)
from validated import COMPETING, METHODS, NONE, validations_of

from tandem.checkpoint.store import CheckpointStore

VALIDATED: dict[str, Any] = {"validate_every": 4, "validate_images": 0, "validate_samples": 2, "keep_last": 9}
OF_PAIRS = {"l1", "l1-best", "ssim", "ssim-best", "l1-diversity", "frechet", "contrast", "detail"}
OF_ENSEMBLES = {"crps", "crps-4", "crps-16", "energy-score", "spread-skill"}
OF_ENSEMBLES |= {"coverage-50", "coverage-80", "coverage-90"}
MEASURED = {
    "bicyclegan": OF_PAIRS | OF_ENSEMBLES,
    "tandem": OF_PAIRS | OF_ENSEMBLES,
    "pix2pix": OF_PAIRS | OF_ENSEMBLES,
    "cyclegan": {
        f"{name}{way}" for name in ("frechet", "cycle", "contrast", "detail") for way in ("", "-AtoB", "-BtoA")
    },
    "cut": {"frechet", "identity", "contrast", "detail"},
}


def evaluated(model: Path, data: Path, *words: str | Path) -> dict[str, float]:
    """What ``tandem evaluate`` says of a model on the split val."""
    out = model / "evaluation"
    options = ["--split", "val", "--num-samples", 2, "--device", "cpu", "--out", out]
    finished = tandem("evaluate", model, data, *map(str, options), *words)
    assert finished.status == 0, finished.err
    report = json.loads((out / "report.json").read_text())
    return {score["name"]: score["value"] for result in report["results"] for score in result["scores"]}


@pytest.mark.parametrize("name", METHODS)
def test_numbers_are_those_of_evaluate(held_out: dict[str, Path], features: Path, tmp_path: Path, name: str) -> None:
    """Of the model that is exported from the checkpoint of the same step."""
    kind, options = METHODS[name]
    run = tmp_path / "run"
    train(held_out[kind], run, steps=10, seed=3, **options, **VALIDATED, validate_features=features)
    lines = validations_of(run)
    assert [line["step"] for line in lines] == [4, 8, 10]
    assert [line.get("final", False) for line in lines] == [False, False, True]
    assert lines[0]["numbers"].keys() == MEASURED[name]
    for line in (lines[0], lines[-1]):
        model = tmp_path / f"model-{line['step']}"
        assert tandem("export", run, "--checkpoint", str(line["step"]), "--out", model).status == 0
        ways = ("AtoB", "BtoA") if name == "cyclegan" else (options.get("direction", "AtoB"),)
        found = {
            way: evaluated(model, held_out[kind], "--seed", "3", "--features", features, "--direction", way)
            for way in ways
        }
        for key, value in line["numbers"].items():
            base, _, way = key.rpartition("-")
            expected = found[way][base] if way in found else sum(one[key] for one in found.values()) / len(found)
            assert value == pytest.approx(expected, rel=1e-6), key


def test_part_of_a_split_has_the_samples_of_the_whole(held_out: dict[str, Path], tmp_path: Path) -> None:
    """Three of five inputs, the first, the middle and the last, each with the latents of its place in the split."""
    run = tmp_path / "run"
    train(held_out["pairs"], run, steps=2, validate_every=2, validate_images=3, validate_samples=2)
    evaluated(run / "model", held_out["pairs"], "--metrics", "l1,ssim,l1-diversity")
    found = json.loads((run / "model" / "evaluation" / "report.json").read_text())["per_input"]
    numbers = validations_of(run)[0]["numbers"]
    for name in ("l1", "ssim", "l1-diversity"):
        assert numbers[name] == pytest.approx(sum(found[name][place] for place in (0, 2, 4)) / 3, rel=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_half_and_half_is_whole(held_out: dict[str, Path], features: Path, tmp_path: Path, name: str) -> None:
    """Validated off the cadence of the snapshots, stopped between validations, with other loader workers."""
    kind, options = METHODS[name]
    options = options | {"validate_every": 3, "validate_images": 3, "validate_features": features, "keep_last": 1}
    options = COMPETING | options
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(held_out[kind], whole, steps=10, **options)
    train(held_out[kind], halves, steps=5, num_workers=1, **options)
    train(held_out[kind], halves, steps=10, **options)
    assert_same_run(whole, halves)
    assert [line["step"] for line in validations_of(whole)] == [3, 6, 9, 10]
    kept = [CheckpointStore(run / "checkpoints") for run in (whole, halves)]
    assert kept[0].steps() == kept[1].steps()
    assert kept[0].best() == kept[1].best() is not None
    assert [kept[0].measured(step) for step in kept[0].steps()] == [kept[1].measured(s) for s in kept[1].steps()]


def test_a_killed_run_goes_on_to_the_same_records(held_out: dict[str, Path], tmp_path: Path) -> None:
    options = {"steps": 12, "validate_every": 2, "validate_images": 3, "log_every": 1}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(held_out["pairs"], whole, **options)
    pid = fork("train", held_out["pairs"], "--out", killed, *tiny(**options))
    until(lambda: num_log_lines(killed) >= 9, pid)
    os.kill(pid, signal.SIGKILL)
    wait_for(pid)
    train(held_out["pairs"], killed, **options)
    assert_same_run(whole, killed)


def test_measuring_changes_nothing_and_does_not_depend_on_snapshots(held_out: dict[str, Path], tmp_path: Path) -> None:
    """pix2pix with dropout and batch norm; the cadence of the snapshots moves the files, not the numbers."""
    kind, options = METHODS["pix2pix"]
    validated = {"validate_every": 2, "validate_images": 2}
    for name, more in (
        ("without", {}),
        ("often", validated | {"snapshot_every": 1}),
        ("once", validated | {"snapshot_every": 100, "num_workers": 1}),
    ):
        train(held_out[kind], tmp_path / name, steps=6, **options, **more)
    assert validations_of(tmp_path / "often") == validations_of(tmp_path / "once")
    tensors = [state_of(tmp_path / name)[0] for name in ("without", "often", "once")]
    for other in tensors[1:]:
        assert [name for name, value in tensors[0].items() if not torch.equal(value, other[name])] == []


def test_pairs_among_two_domains_have_a_truth(held_out: dict[str, Path], tmp_path: Path) -> None:
    """CycleGAN on side-by-side files: L1 and SSIM are measured, and the cycle decides."""
    options = METHODS["cyclegan"][1] | {"validate_every": 2, "validate_images": 2}
    finished = train(held_out["pairs"], tmp_path / "run", steps=2, **options)
    assert "l1, ssim, cycle, contrast, detail on 2 of 5 pairs of val" in finished.err
    assert "with the lowest cycle" in finished.err
    numbers = validations_of(tmp_path / "run")[0]["numbers"]
    assert numbers["ssim"] == pytest.approx((numbers["ssim-AtoB"] + numbers["ssim-BtoA"]) / 2)


def test_shards_and_native_sizes(held_out: dict[str, Path], tmp_path: Path) -> None:
    """Shards give the numbers of the folder; images that keep their own sizes are measured at these."""
    assert tandem("data", "pack", held_out["pairs"], tmp_path / "packed").status == 0
    validated = {"steps": 4, "validate_every": 2, "validate_images": 3}
    train(held_out["pairs"], tmp_path / "folder", **validated)
    train(tmp_path / "packed", tmp_path / "shards", **validated)
    numbers = [[line["numbers"] for line in validations_of(tmp_path / name)] for name in ("folder", "shards")]
    assert numbers[0] == numbers[1]
    native = tmp_path / "native"
    for split, sizes in (("train", [(40, 56)] * 3), ("val", [(40, 56), (64, 36)])):
        for index, size in enumerate(sizes):
            write_pairs(tmp_path / "one", 1, size=size, seed=index)
            (native / split).mkdir(parents=True, exist_ok=True)
            (tmp_path / "one" / "0.png").rename(native / split / f"{index}.png")
    run = tmp_path / "run"
    options = NONE | {"method": "pix2pix", "preprocess": "none", "batch_size": 1, "dropout": False}
    train(native, run, steps=2, validate_every=2, **options)
    line = validations_of(run)[0]
    assert line["conditions"]["fit"] == "pad"
    assert line["numbers"]["ssim"] is not None


def test_a_small_image_behind_a_large_one_leaves_a_metric_out(tmp_path: Path) -> None:
    """SSIM needs 11 px. Unasked it is left out; asked for, the run is refused before its first step."""
    data = tmp_path / "data"
    write_pairs(data / "train", 2)
    write_pairs(data / "val", 1)
    write_pairs(tmp_path / "small", 1, size=(9, 32))
    (tmp_path / "small" / "0.png").rename(data / "val" / "1.png")
    finished = train(data, tmp_path / "run", steps=2, validate_every=2)
    of_ensembles = "crps, energy-score, spread-skill, interval-coverage"
    measured = f"l1, {of_ensembles}, l1-diversity, contrast, detail"
    assert f"validating every 2 steps: {measured} on 2 of 2 pairs of val" in finished.err
    assert "ssim" not in validations_of(tmp_path / "run")[0]["numbers"]
    words = tiny(steps=2, validate_every=2, validate_metrics="l1,ssim")
    refused = tandem("train", data, "--out", tmp_path / "refused", *words)
    assert refused.status == 2
    reason = "it needs sides of at least 11 px, which 1 of 2 images do not have; the first of them is 1 (32 x 9 px)"
    assert f"--validate-metrics ssim: {reason}" in refused.err
    assert not (tmp_path / "refused").exists()
