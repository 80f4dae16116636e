"""``tandem.train(...)`` is the command: the same run, the same refusals, a result that says what came of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import TINY_OPTIONS, assert_same_run, files_of, log_of

import tandem
from tandem.config.run import from_flat
from tandem.errors import CheckpointError, ConfigError, DataError, TandemError
from tandem.report.records import Record


def test_the_run_of_the_command(data: Path, finished_run: Path, tmp_path: Path) -> None:
    """Stopped by a callback, then finished, it is the run that ``tandem train`` has made."""
    out = tmp_path / "run"
    seen: list[Record] = []

    def watch(record: Record) -> bool:
        seen.append(record)
        return record.step == 6

    first = tandem.train(str(data), str(out), callback=watch, quiet=True, steps=np.int64(10), **TINY_OPTIONS)
    assert (first.ending, first.step, first.total_steps) == ("callback", 6, 10)
    assert [record.step for record in seen] == [line["step"] for line in log_of(out)]
    run = tandem.train(data, out, steps=10, quiet=True, **TINY_OPTIONS)
    assert_same_run(out, finished_run)
    lines = log_of(out)
    assert run.losses == next(line["losses"] for line in reversed(lines) if line["kind"] == "train")
    assert run.health["diversity"] == next(line["diversity"] for line in reversed(lines) if line["kind"] == "health")
    assert (run.validation, run.page.is_file(), run.already_done) == ({}, True, False)
    assert repr(run).startswith(f"<TrainedRun {out}: finished at step 10 of 10; ")
    image = np.zeros((32, 32, 3), np.uint8)
    expected = tandem.load(finished_run, device="cpu")(image, 1, output="array")
    assert np.array_equal(run.load(device="cpu")(image, 1, output="array"), expected)
    assert tandem.train(data, out, steps=10, quiet=True, **TINY_OPTIONS).already_done
    with pytest.raises(CheckpointError, match="latent_dim: was 4, is 5"):
        tandem.train(data, out, quiet=True, **TINY_OPTIONS | {"latent_dim": 5, "steps": 10})


def test_a_configuration_made_in_python(data: Path, finished_run: Path, tmp_path: Path) -> None:
    config = from_flat({**TINY_OPTIONS, "steps": 10})
    tandem.train(data, tmp_path / "run", config=config, quiet=True)
    assert_same_run(tmp_path / "run", finished_run)
    with pytest.raises(ConfigError, match=r"size beside config=RunConfig") as refused:
        tandem.train(data, tmp_path / "run", config=config, size=64)
    assert refused.value.problems[0].option == "size"


def test_presets_files_and_validation(held_out: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("steps: 2\ngenerator_filters: 2\n")
    small = {"size": 64, "load_size": 64, "discriminator_filters": 2, "num_workers": 0, "num_previews": 1}
    run = tandem.train(
        *(held_out["pairs"], tmp_path / "run"),
        **{"preset": "facades", "config": tmp_path / "run.yaml", "method": None, "device": "cpu", "quiet": True},
        **small
        | {"encoder_filters": 2, "validate_every": 2, "validate_images": 1, "validate_samples": 1, "log": "csv"},
    )
    assert run.step == 2
    assert run.validation.keys() >= {"l1", "ssim"}
    assert "ssim" in repr(run)
    assert (tmp_path / "run" / "csv" / "validation.csv").is_file()
    assert '\ndirection: "BtoA"' in (tmp_path / "run" / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batchsize": 4}, "there is no option batchsize. Did you mean batch_size?"),
        ({"lambda_cycle": 4.0}, "there is no option lambda_cycle"),
        ({"method": "pix2pixx"}, "unknown method 'pix2pixx'"),
        ({"steps": "many"}, "--steps must be a whole number of at least 1, not 'many'"),
        ({"steps": 0}, "--steps must be at least 1, not 0"),
        ({"log": "tensorbord"}, "--log must be among tensorboard, wandb, csv, not 'tensorbord'"),
        ({"log": ["comet"]}, "--log must be"),
        ({"preset": "facade"}, "facade"),
        ({"config": "nothing.yaml"}, "nothing.yaml"),
        ({"print_config": True}, "print_config has no effect here"),
        ({"batch_size": 3, "steps": True}, "--steps must be a whole number"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    data: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        tandem.train(data, tmp_path / "run", quiet=True, **options)
    assert message in str(raised.value)
    assert files_of(tmp_path) == {}


def test_errors_are_those_of_tandem(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        tandem.train(tmp_path / "nothing", tmp_path / "run", quiet=True, device="cpu")
    with pytest.raises(TandemError, match="tpu"):
        tandem.train(tmp_path / "nothing", tmp_path / "run", quiet=True, device="tpu")
