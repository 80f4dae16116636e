"""The demo: drawing, training, sampling and measuring in one go."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import (
    assert_page_is_whole,
    fork,
    num_log_lines,
    pixels,
    references_of,
    state_of,
    tandem,
    train,
    until,
    wait_for,
)

from tandem.commands.demo import BASELINES, OURS, STEPS, STEPS_FOR_ONE, demo_config
from tandem.commands.demo_report import NUM_SHOWN, write_demo_page
from tandem.config.variants import VARIANTS
from tandem.data.synthetic import MODES, write_dataset


def assert_coverage_is_sane(path: Path) -> None:
    measured = json.loads(path.read_text())
    assert list(measured) == ["tandem", "bicyclegan", "pix2pix-noise"]
    for coverage in measured.values():
        assert 0 <= coverage["covered"] <= coverage["num_modes"] == len(MODES)
        assert coverage["num_samples"] == 16
        assert 0 <= coverage["unassigned"] <= 1
        assert sum(coverage["frequencies"]) + coverage["unassigned"] == pytest.approx(1)


def test_the_page_of_tiny_models(tmp_path: Path) -> None:
    """The page, its pictures and its numbers, of models that have learnt nothing yet."""
    data = write_dataset(tmp_path / "data", size=32, num_train=4, num_val=0, num_test=4)
    small = {"generator_filters": 8, "discriminator_scales": 1, "discriminator_layers": 2, "batch_size": 2}
    train(data, tmp_path / "tandem", method="tandem", steps=2, **small)
    train(data, tmp_path / "bicyclegan", steps=2)
    train(data, tmp_path / "pix2pix-noise", steps=1, **VARIANTS["pix2pix-noise"].options)
    drawing = tmp_path / "draw.html"
    drawing.write_text("<!doctype html>")
    page = write_demo_page(tmp_path, data, [OURS, *BASELINES], seed=0, device="cpu", drawing=drawing)
    assert page == tmp_path / "index.html"
    assert drawing in references_of(page)
    assert_page_is_whole(page, least=4 * (2 + 8 + 1 + 12))
    assert {tmp_path / name / "index.html" for name in (OURS, *BASELINES)} <= set(references_of(page))
    assert_coverage_is_sane(tmp_path / "coverage.json")
    text = page.read_text()
    assert "after 2 steps on 4 generated pairs" in text
    assert "Trained for 2 steps (tandem), 2 steps (BicycleGAN), 1 steps (pix2pix with noise), which take" in text
    gifs = sorted((tmp_path / "images").glob("*.gif"))
    assert [gif.name for gif in gifs] == [f"0000{number}.gif" for number in (1, 2, 3, 4)]
    with Image.open(gifs[0]) as gif:
        assert getattr(gif, "n_frames", 1) == 12 + 10
    drawing = pixels(tmp_path / "images" / "00001_drawing.png")
    assert np.array_equal(drawing[::2, ::2], pixels(data / "test" / "00001.png")[:, :32])


def test_the_demo_is_bounded_in_steps() -> None:
    """All configurations are valid, and the others as long as their cost says."""
    ours, theirs, noise = (demo_config(name, STEPS, seed=0, device="cpu") for name in (OURS, *BASELINES))
    assert [one.objective.method for one in (ours, theirs, noise)] == ["tandem", "bicyclegan", "bicyclegan"]
    assert ours.total_steps(2000) == STEPS
    assert theirs.total_steps(2000) == round(STEPS * STEPS_FOR_ONE["bicyclegan"])
    assert noise.total_steps(2000) == round(STEPS * STEPS_FOR_ONE["pix2pix-noise"])
    assert ours.data == theirs.data == noise.data
    assert noise.objective.has_encoded_branch is False


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--steps", "0"], "--steps must be at least 1, not 0"),
        (["--device", "cuda:99"], "--device cuda:99: this machine does not have it"),
        (["--compare", "cvae"], "--compare cvae: must be among bicyclegan, cvae-gan, cvae-gan++"),
        (["--stpes", "3"], "there is no option --stpes. Did you mean --steps?"),
    ],
)
def test_what_does_not_work_is_refused(tmp_path: Path, words: list[str], says: str) -> None:
    refused = tandem("demo", "--out", tmp_path / "demo", *words)
    assert refused.status == 2
    assert says in refused.err


@pytest.mark.slow
def test_the_whole_demo(tmp_path: Path) -> None:
    """Stopped in the middle of each part and started again, then once more when it is ready."""
    out = tmp_path / "demo"
    words: list[str | Path] = ["demo", "--out", out, "--steps", "6", "--device", "cpu"]
    pid = fork(*words)
    until((out / "data" / "train" / "00020.png").exists, pid)
    os.kill(pid, signal.SIGKILL)
    wait_for(pid)
    pid = fork(*words)
    until(lambda: num_log_lines(out / "tandem") >= 1, pid, seconds=300)
    os.kill(pid, signal.SIGTERM)
    assert wait_for(pid) == 143
    finished = tandem(*words)
    assert finished.status == 0, finished.err
    assert f"open {out.resolve() / 'index.html'}" in finished.err
    assert [state_of(out / name)[1]["step"] for name in (OURS, *BASELINES)] == [6, 4, 10]
    assert_page_is_whole(out / "index.html", least=NUM_SHOWN * 11)
    assert_coverage_is_sane(out / "coverage.json")
    before = (out / "coverage.json").read_bytes()
    assert tandem(*words).status == 0
    assert (out / "coverage.json").read_bytes() == before
