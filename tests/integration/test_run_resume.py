"""Resuming is bit-exact: a run that was stopped and continued ends as if nothing had happened."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from support import assert_same_run, assert_same_state, log_of, model_of, state_of, tandem, tiny, train

HALF, WHOLE = 5, 10

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout, batch norm, no average": {
        "size": 64,  # smaller generators have no level with dropout
        "dropout": True,
        "norm": "batch",
        "batch_size": 4,
        "ema_halflife_images": 0,
    },
    "linear, quick average": {
        "lr_schedule": "linear",
        "lr_constant_epochs": 1,
        "lr_decay_epochs": 4,
        "ema_halflife_images": 3,
    },
    "snapshot each step": {"snapshot_every": 1, "log_every": 1, "keep_last": 1, "gan_loss": "bce"},
    "shared, conditional, hinge, cosine, clipped": {
        "shared_discriminator": True,
        "conditional": True,
        "update_order": "discriminator_first",
        "gan_loss": "hinge",
        "lr_schedule": "cosine",
        "lr_decay_epochs": 4,
        "clip_grad_norm": 0.5,
    },
    "wgangp, snapshots that divide": {"gan_loss": "wgangp", "snapshot_every": 5, "log_every": 5},
    "bf16, no snapshot but the last": {"precision": "bf16", "snapshot_every": 100, "log_every": 7},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_half_and_half_is_whole(data: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(data, whole, steps=WHOLE, **options)
    train(data, halves, steps=HALF, **options)
    assert state_of(halves)[1]["step"] == HALF
    train(data, halves, steps=WHOLE, **options)
    assert_same_run(whole, halves)
    groups = {name.split("/")[0] for name in state_of(whole)[0]}
    assert {"network", "optimizer"} <= groups
    assert ("ema" in groups) == (options.get("ema_halflife_images") != 0)


def test_any_number_of_workers(data: Path, finished_run: Path, tmp_path: Path) -> None:
    """Five runs of one, changing the workers, the device's name, the log and the length in between."""
    for steps, workers in ((2, 1), (4, 0), (7, 2), (10, 1)):
        train(data, tmp_path / "run", steps=steps, num_workers=workers)
    assert_same_run(finished_run, tmp_path / "run")


def test_what_may_change(data: Path, finished_run: Path, tmp_path: Path) -> None:
    """Options that do not change what the steps compute: the state is the same, the log has other lines."""
    out = tmp_path / "run"
    train(data, out, steps=5, log_every=1, snapshot_every=2, keep_last=1, num_previews=1)
    train(data, out, epochs=3, steps=None, log_every=2, num_preview_samples=3, device="auto", deterministic=True)
    assert state_of(out)[1]["step"] == 11  # three passes over seven pairs, two at a time, rounded up
    train(data, tmp_path / "reference", steps=11, log_every=11)
    assert_same_weights(out, tmp_path / "reference")


def assert_same_weights(first: Path, second: Path) -> None:
    """Like `assert_same_state` but for the running means of the log."""
    for run in (first, second):
        assert "meter_counts" in state_of(run)[1]
    tensors, others = (
        {name: value for name, value in state_of(run)[0].items() if not name.startswith("meter/")}
        for run in (first, second)
    )
    assert tensors.keys() == others.keys()
    assert all(tensors[name].equal(others[name]) for name in tensors)


def test_the_log_has_no_gaps_and_no_repeats(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for steps in (3, 5, 6, 12):
        train(data, out, steps=steps)
    lines = [(line["kind"], line["step"], line.get("final", False)) for line in log_of(out)]
    trained = [("train", step, False) for step in (1, 3, 6, 9, 12)]
    measured = [("health", 4, False), ("health", 8, False), ("health", 12, False)]
    assert sorted(lines, key=lambda line: (line[1], line[0])) == sorted(
        trained + measured, key=lambda line: (line[1], line[0])
    )
    assert [line["step"] for line in log_of(out)] == sorted(line["step"] for line in log_of(out))


def test_the_end_is_measured_and_exported(data: Path, finished_run: Path) -> None:
    last = log_of(finished_run)[-1]
    assert (last["kind"], last["step"], last["final"]) == ("health", 10, True)
    assert model_of(finished_run)["training"]["steps"] == 10


def test_a_finished_run_says_so(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = train(data, out, steps=5)
    assert "finished already" not in first.err
    files = [path for path in out.rglob("*") if path.is_file() and path.name != "index.html"]
    before = {path: path.read_bytes() for path in files}
    kept = [path for path in files if path.suffix in {".safetensors", ".jpg", ".png"}]
    times = [path.stat().st_mtime_ns for path in kept]
    again = train(data, out, steps=5)
    assert "finished already (5 steps); raise --steps" in again.err
    assert "training on" not in again.err
    after = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "index.html"}
    assert before == after
    assert times == [path.stat().st_mtime_ns for path in kept]  # nothing was measured, drawn or saved again
    assert "Finished" in (out / "index.html").read_text()
    fewer = train(data, out, steps=2)
    assert "finished already (5 steps)" in fewer.err
    more = train(data, out, steps=7)
    assert "continuing at step 5 of 7" in more.err
    train(data, tmp_path / "whole", steps=7)
    assert_same_run(tmp_path / "whole", out)


def test_the_page_says_what_its_pictures_show_before_the_next_ones(
    finished_run: Path, data: Path, tmp_path: Path
) -> None:
    """A finished run that is started again renews its page without measuring anew."""
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    said = (
        "Each row is one input: the input, the ground truth, the ground truth encoded and decoded again, "
        "samples of random latents."
    )
    assert said in (run / "index.html").read_text()
    (run / "index.html").unlink()
    train(data, run, steps=10)
    assert said in (run / "index.html").read_text()


def test_a_lost_log_is_begun_anew(data: Path, finished_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(data, out, steps=6)
    (out / "metrics.jsonl").unlink()
    (out / "index.html").unlink()
    train(data, out, steps=10)
    assert_same_state(finished_run, out)
    assert [line["step"] for line in log_of(out)] == [8, 9, 10]


def test_resume_needs_nothing_but_the_run(
    data: Path, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another folder, with the data given by a relative path at first; then with both moved together."""
    project = tmp_path / "project"
    shutil.copytree(data, project / "demo")
    monkeypatch.chdir(project)
    train(Path("demo"), Path("runs/x"), steps=HALF)
    monkeypatch.chdir(tmp_path)
    longer = tandem("train", "--resume", project / "runs" / "x", "--steps", "7")
    assert longer.status == 0, longer.err
    assert f"continuing at step {HALF} of 7" in longer.err
    moved = project.rename(tmp_path / "moved")
    assert tandem("train", "--resume", moved / "runs" / "x", "--steps", WHOLE).status == 0
    assert_same_run(finished_run, moved / "runs" / "x")
    again = tandem("train", "--resume", moved / "runs" / "x")
    assert again.status == 0, again.err
    assert "is finished already" in again.err


def test_resume_with_data_that_has_moved(data: Path, finished_run: Path, tmp_path: Path) -> None:
    run, here = tmp_path / "run", tmp_path / "here"
    shutil.copytree(data, here)
    train(here, run, steps=HALF)
    there = here.rename(tmp_path / "there")
    refused = tandem("train", "--resume", run, "--steps", WHOLE)
    assert refused.status == 1
    assert f"no longer at {here}" in refused.err
    assert f"tandem train DATA --resume {run}" in refused.err
    assert tandem("train", there, "--resume", run, "--steps", WHOLE).status == 0
    assert_same_run(finished_run, run)
    assert tandem("train", "--resume", run).status == 0  # the new place is remembered
    (run / "sources.json").unlink()
    refused = tandem("train", "--resume", run)
    assert f"does not say where its data is: give it: tandem train DATA --resume {run}" in refused.err
    (run / "sources.json").write_text('{"data": 3}')
    assert "sources.json cannot be read" in tandem("train", "--resume", run).err


def test_a_length_wins_over_one_in_the_other_unit(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(data, run, steps=None, epochs=1)
    assert state_of(run)[1]["step"] == 4
    assert tandem("train", "--resume", run, "--steps", "6").status == 0
    assert state_of(run)[1]["step"] == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "other"], "--out beside --resume"),
        (["--preset", "demo"], "--preset beside --resume"),
        (["--method", "pix2pix"], "the configuration file is for the method bicyclegan, but --method is pix2pix"),
        (["--learning-rate", "1"], "learning_rate: was 0.0002, is 1.0"),
        (["--steps", "12", "--epochs", "2"], "both say how long"),
    ],
)
def test_what_resume_refuses(finished_run: Path, words: list[str], message: str) -> None:
    refused = tandem("train", "--resume", finished_run, *words)
    assert refused.status in {1, 2}
    assert message in refused.err


def test_resume_names_a_run(data: Path, tmp_path: Path) -> None:
    assert "there is no such folder" in tandem("train", "--resume", tmp_path / "none").err
    assert "there is no config.yaml in it" in tandem("train", "--resume", data).err


def test_a_run_without_its_checkpoints_is_not_begun_anew(data: Path, finished_run: Path, tmp_path: Path) -> None:
    """Neither where the log tells of its steps nor where the model alone does; its model stays as it is."""
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    shutil.rmtree(run / "checkpoints")
    model = model_of(run)
    for words in ([data, "--out", run, *tiny(steps=WHOLE)], ["--resume", run]):
        refused = tandem("train", *words)
        assert refused.status == 1
        assert f"{run} holds a run of {WHOLE} steps whose checkpoints are gone" in refused.err
        assert f"or remove {run} to begin anew" in refused.err
        assert model_of(run) == model
        (run / "metrics.jsonl").unlink(missing_ok=True)
