"""From training to using at one scale: validation, evaluation, previews and samples fit images alike, unasked."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import files_of, sample, tandem, tiny_config, train, write_pairs
from validated import METHODS, validations_of

from tandem.checkpoint.manifest import read_manifest
from tandem.data.images import read_image
from tandem.data.pixels import to_floats
from tandem.inference.inputs import fit_image
from tandem.training.inputs import open_inputs

SMALL: dict[str, Any] = {"generator_filters": 2, "encoder_filters": 2, "discriminator_filters": 2}
WAYS: dict[str, tuple[tuple[int, int], dict[str, Any], str]] = {
    "not square": ((64, 64), {"size": "32x64"}, "resized to 32x64 px, the training size"),
    "load size": ((64, 96), {"load_size": 64}, "resized to 64x64 px, the load size of training"),
    "crop": ((64, 72), {"preprocess": "crop"}, "keep their resolution"),
    "scale_width": ((64, 128), {"size": "32x64", "preprocess": "scale_width"}, "scaled to a width of 64 px"),
    "scale_width_and_crop": ((64, 48), {"preprocess": "scale_width_and_crop"}, "scaled to a width of 32 px"),
}


def write_data(folder: Path, size: tuple[int, int]) -> Path:
    write_pairs(folder / "train", 2, size=size, seed=1)
    write_pairs(folder / "val", 2, size=size, seed=2)
    return folder


@pytest.mark.parametrize("name", WAYS)
def test_run_evaluation_and_samples_go_together(tmp_path: Path, name: str) -> None:
    """Nothing about sizes is said on any command line but that of the training."""
    size, options, said = WAYS[name]
    data, run = write_data(tmp_path / "data", size), tmp_path / "run"
    options = SMALL | options
    finished = train(data, run, steps=2, validate_every=2, keep_best="ssim", **options)
    assert said in finished.err

    model = tmp_path / "exported"
    assert tandem("export", run, "--checkpoint", "2", "--out", model).status == 0
    evaluated = tandem("evaluate", model, data, "--device", "cpu")
    assert evaluated.status == 0, evaluated.err
    assert said in evaluated.err
    assert "the scale of" not in evaluated.err
    report = json.loads((model / "evaluation" / "report.json").read_text())
    found = {score["name"]: score["value"] for result in report["results"] for score in result["scores"]}
    (line,) = validations_of(run)
    assert {"l1", "ssim", "ssim-best"} <= line["numbers"].keys()
    assert line["numbers"] == {key: pytest.approx(found[key], rel=1e-6) for key in line["numbers"]}

    again = tmp_path / "again"
    assert sample(model, data, "--num-samples", "5", out=again).status == 0
    assert files_of(again / "images") == files_of(run / "samples" / "images")

    inputs = open_inputs(tiny_config(**options), data, cache=tmp_path / "cache")
    rule = read_manifest(model)[0].preprocessing
    for index, a in enumerate(inputs.previews[1]):
        values = to_floats(np.array(read_image(data / "val" / f"{index}.png")[:, : size[1]]))
        met = fit_image(values, rule.plan(*size, "auto", multiple=32)).values
        corners = [
            (max(whole, side) - side) // 2
            for whole, side in zip(rule.target(*size, "auto", multiple=32), rule.size, strict=True)
        ]
        middle = met[:, corners[0] :, corners[1] :][:, : rule.size[0], : rule.size[1]]
        np.testing.assert_array_equal(a.numpy(), middle)


def test_both_directions_go_together(held_out: dict[str, Path], tmp_path: Path) -> None:
    """CycleGAN: 32 px files at 16 px, and the numbers of both directions."""
    options = METHODS["cyclegan"][1] | {"size": 16, "discriminator_layers": 1}
    run = tmp_path / "run"
    train(held_out["domains"], run, steps=2, validate_every=2, **options)
    assert tandem("evaluate", run, held_out["domains"], "--device", "cpu", "--metrics", "cycle").status == 0
    reports = json.loads((run / "evaluation" / "report.json").read_text())["directions"]
    (line,) = validations_of(run)
    assert len(reports) == 2
    for direction, report in reports.items():
        value = report["results"][0]["scores"][0]["value"]
        assert line["numbers"][f"cycle-{direction}"] == pytest.approx(value, rel=1e-6)


def test_another_scale_is_a_warning_in_every_command(finished_run: Path, tmp_path: Path) -> None:
    """A model of 32 px on 64 px files with --fit pad; by default there is none."""
    data = write_data(tmp_path / "data", (64, 64))
    model = tmp_path / "model"
    assert tandem("export", finished_run, "--checkpoint", "last", "--out", model).status == 0
    for fit, warned in (("auto", False), ("pad", True)):
        commands = (
            ("sample", model, data, "--num-samples", "1", "--out", tmp_path / f"samples-{fit}"),
            ("evaluate", model, data, "--metrics", "l1", "--num-samples", "1", "--out", tmp_path / f"report-{fit}"),
        )
        for command in commands:
            finished = tandem(*command, "--fit", fit, "--device", "cpu")
            assert finished.status == 0, finished.err
            assert ("the scale is not that of training" in finished.err) == warned
        assert ("the scale of 2 of 2 inputs is not that of training" in finished.err) == warned
        settings = json.loads((tmp_path / f"report-{fit}" / "report.json").read_text())["settings"]
        assert settings["fit"] == ("pad" if fit == "pad" else "resize to 32x32")
