"""What finished work is known by: every option of ``tandem sample``, and what else decides pixels."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_spread import calibration_of

from tandem.checkpoint.bundle import save_calibration
from tandem.commands.sample import COMMAND, SampleOptions
from tandem.commands.sample_video import VideoOptions
from tandem.config.options import names_of
from tandem.data.image_file import DiskFile
from tandem.data.splits import Pair, SingleImage
from tandem.evaluation.cases import FileHashes, ModelCase, SampledModel
from tandem.evaluation.options import EvaluationOptions
from tandem.inference.jobs import Job, find_jobs
from tandem.inference.runtime import Runtime
from tandem.inference.sample_record import settings_of
from tandem.inference.sampling import SamplingOptions
from tandem.inference.translator import Translator, load, load_with

MakeBundle = Callable[..., Path]

OTHERS: dict[str, Any] = {
    "mode": {"mode": "interpolate"},
    "num_samples": {"num_samples": 3},
    "seed": {"seed": 1},
    "fit": {"fit": "resize"},
    "references": {"mode": "reference", "references": "STYLE"},
    "z": {"z": np.ones((1, 2), np.float32)},
    "image_format": {"image_format": "jpg"},
    "cycle": {"cycle": True},
    "only": {"only": "outputs"},
    "spread": {"spread": True},
}
"""Another value of every option of what is drawn."""
RUN: dict[str, Any] = {
    "engine": "onnx",
    "precision": "bf16",
    "compile": True,
    "max_batch": 1,
    "tile": 64,
    "memory_gb": 1.0,
    "threads": 1,
}
"""Another value of every option of how a model is run."""
BY_CONTENT = {"model", "inputs", "mask", "direction", "pairs", "stack", "split"}
"""Known by the line of each input: its files, what is read of them and the direction; or by the hash of the weights."""
NO_PIXELS = {"out", "processes"}
"""The folder that the record lies in; how many processes share the inputs."""


@pytest.fixture
def translator(make_bundle: MakeBundle) -> Translator:
    return load(make_bundle(), device="cpu")


def image(path: Path, *, width: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((16, width, 3), np.uint8)).save(path)
    return path


def test_no_option_is_forgotten() -> None:
    """A new option needs a place in this file: another value that changes the key, or a reason why it need not."""
    drawn, run = set(OTHERS), set(RUN)
    assert drawn == set(names_of(SamplingOptions))
    assert run == set(names_of(Runtime))
    assert set(names_of(SampleOptions)) == BY_CONTENT | NO_PIXELS | {"device"}
    # Those of videos are refused where the inputs are images.
    everything = drawn | run | BY_CONTENT | NO_PIXELS | {"device"} | set(names_of(VideoOptions))
    assert {one.field for one in COMMAND.options} == everything


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_drawn_is_in_the_key(translator: Translator, tmp_path: Path, name: str) -> None:
    style = image(tmp_path / "style.png")
    options = {key: [style] if key == "references" else value for key, value in OTHERS[name].items()}
    other = SamplingOptions(**({"num_samples": 2} | options))
    assert settings_of(translator, SamplingOptions(num_samples=2)) != (changed := settings_of(translator, other))
    assert json.loads(json.dumps(changed)) == changed  # as it is read again


@pytest.mark.parametrize("name", RUN)
def test_how_a_model_is_run_is_in_the_key(translator: Translator, name: str) -> None:
    before = settings_of(translator, SamplingOptions())
    others = {name: RUN[name]}
    translator.runtime = dataclasses.replace(Runtime(), **others)
    assert settings_of(translator, SamplingOptions()) != before


def test_the_device_and_the_model_are_in_the_key(translator: Translator, make_bundle: MakeBundle) -> None:
    before = settings_of(translator, SamplingOptions())
    assert before["runtime"]["device"] == "cpu"
    other = load(make_bundle("other", generator={"filters": 5}), device="cpu")
    assert settings_of(other, SamplingOptions())["model"] != before["model"]


def test_the_calibration_is_in_the_key_of_what_shows_it(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    before = [settings_of(load(folder, device="cpu"), SamplingOptions(spread=spread)) for spread in (False, True)]
    save_calibration(folder, calibration_of(folder))
    after = [settings_of(load(folder, device="cpu"), SamplingOptions(spread=spread)) for spread in (False, True)]
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_what_is_read_of_the_inputs_is_in_the_key(tmp_path: Path) -> None:
    path = image(tmp_path / "data" / "test" / "x.png", width=32)
    image(tmp_path / "data" / "train" / "x.png", width=32)
    named = [
        find_jobs([path])[0],
        find_jobs([path], pairs=True)[0],
        find_jobs([tmp_path / "data"], split="train")[0],
        Job("x", SingleImage("x", DiskFile(path), "left")),
        Job("x", SingleImage("x", DiskFile(path), "right")),
    ]
    assert len({job.describe() for job in named}) == len(named)
    assert find_jobs([tmp_path / "data"])[0].describe() == named[1].describe()  # the same pair by another way


def test_rows_of_evaluations_are_known_by_all_of_it(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """The same for the cache of ``tandem evaluate``: of an option, of the run of the model, of what is read."""
    folder, path = make_bundle(), image(tmp_path / "x.png", width=32)

    def key(runtime: Runtime | None = None, *, item: Any = None, position: int = 0, number: int = 2, **how: Any) -> str:
        model = SampledModel(load_with(folder, runtime or Runtime(), device="cpu"), **({"direction": "AtoB"} | how))
        job = Job("x", item or Pair("x", DiskFile(path), None))
        return ModelCase("x", job, position, model, model.fingerprint, FileHashes()).key(number)

    single = SingleImage("x", DiskFile(path))
    keys = [
        key(),
        key(Runtime(precision="bf16")),
        key(Runtime(max_batch=1)),
        key(item=single),
        key(item=dataclasses.replace(single, half="left")),
        key(position=1),
        key(number=3),
        key(seed=1),
        key(fit="resize"),
        key(direction="BtoA"),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]
    # What else an evaluation is asked for decides what is measured, not what is sampled.
    sampled = {"num_samples", "seed", "fit"}
    assert sampled <= set(names_of(EvaluationOptions))
