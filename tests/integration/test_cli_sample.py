"""``tandem sample``: every mode, names, latents that make a picture again, interruptions, inputs of all kinds."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import (
    assert_page_is_whole,
    files_of,
    fork,
    leftovers,
    pixels,
    records_of,
    sample,
    tandem,
    tiny,
    train,
    until,
    wait_for,
    write_pairs,
)

import tandem as package
from tandem.inference import sample_folder
from tandem.inference.translator import Translator

ODD_NAME = """a b#1?%20ü&<i>'"x"""


@pytest.mark.parametrize(
    ("words", "series"),
    [
        (["random", "--num-samples", "3"], {"random": 3}),
        (["interpolate", "--num-samples", "4"], {"linear": 4, "spherical": 4}),
        (["encode", "--num-samples", "2"], {"encoded": 2}),
        (["reference"], {"reference": 2}),
    ],
)
def test_every_mode(data: Path, model: Path, tmp_path: Path, words: list[str], series: dict[str, int]) -> None:
    """The files are there under the inputs' names; every picture can be made again from its recorded latent."""
    out = tmp_path / "out"
    mode = words[0]
    if mode == "reference":
        words = [mode, "--reference", *(str(data / "train" / f"0000{number}.png") for number in (1, 2))]
    finished = sample(model, data, "--mode", *words, out=out)
    assert f"page: {out / 'index.html'}" in finished.err
    settings, *records = records_of(out)
    assert settings["mode"] == mode
    assert [record["name"] for record in records] == ["00001", "00002"]
    translator = package.load(model, device="cpu")
    for record in records:
        both = pixels(data / "test" / f"{record['name']}.png")
        assert np.array_equal(pixels(out / record["input"]), both[:, :32])
        assert np.array_equal(pixels(out / record["ground_truth"]), both[:, 32:])
        assert {one["name"]: len(one["samples"]) for one in record["series"]} == series
        for one in record["series"]:
            assert (out / one["grid"]).is_file()
            for shot in one["samples"]:
                again = translator(both[:, :32], z=shot["z"], output="array")[0]
                assert np.array_equal(again, pixels(out / shot["file"]))
    assert_page_is_whole(out / "index.html", least=2 * sum(series.values()) if mode in {"random", "encode"} else 4)
    assert all(name.startswith(("00001_", "00002_")) for name in files_of(out / "images"))


def test_the_same_seed_gives_the_same_bytes(data: Path, model: Path, tmp_path: Path) -> None:
    for name, seed in (("first", "3"), ("second", "3"), ("third", "4")):
        sample(model, data, "--num-samples", "2", "--seed", seed, out=tmp_path / name)
    first, second, third = (files_of(tmp_path / name) for name in ("first", "second", "third"))
    assert first == second
    samples = [name for name in first if "_random_0" in name]
    assert len(samples) == 4
    assert all(first[name] != third[name] for name in samples)
    assert len({first[name] for name in samples}) == 4


def test_more_samples_begin_with_the_same(data: Path, model: Path, tmp_path: Path) -> None:
    for number in ("2", "20"):
        sample(model, data / "test" / "00001.png", "--pairs", "--num-samples", number, out=tmp_path / number)
    for index in (1, 2):
        name = f"images/00001_random_0{index}.png"
        assert np.array_equal(pixels(tmp_path / "2" / name), pixels(tmp_path / "20" / name))


def test_latents_from_a_file(data: Path, model: Path, tmp_path: Path) -> None:
    """Latents out of a record, given with --z, make the same pictures."""
    sample(model, data, "--num-samples", "4", out=tmp_path / "first")
    shots = records_of(tmp_path / "first")[1]["series"][0]["samples"]
    (tmp_path / "z.json").write_text(json.dumps([shots[3]["z"], shots[1]["z"]]))
    sample(model, data, "--z", tmp_path / "z.json", out=tmp_path / "second")
    for mine, theirs in ((1, 4), (2, 2)):
        again = pixels(tmp_path / "second" / "images" / f"00001_random_0{mine}.png")
        assert np.array_equal(again, pixels(tmp_path / "first" / "images" / f"00001_random_0{theirs}.png"))
    (tmp_path / "one.json").write_text(json.dumps(shots[0]["z"]))
    sample(model, data, "--z", tmp_path / "one.json", out=tmp_path / "third")
    assert len(records_of(tmp_path / "third")[1]["series"][0]["samples"]) == 1


def test_an_interpolation(data: Path, model: Path, tmp_path: Path) -> None:
    """Its ends are the two random samples of the same seed; the GIF shows the frames, there and back."""
    sample(model, data, "--num-samples", "2", "--seed", "5", out=tmp_path / "random")
    sample(model, data, "--num-samples", "6", "--seed", "5", "--mode", "interpolate", out=tmp_path / "way")
    first, second = (pixels(tmp_path / "random" / "images" / f"00001_random_0{i}.png") for i in (1, 2))
    for kind in ("linear", "spherical"):
        frames = [pixels(tmp_path / "way" / "images" / f"00001_{kind}_0{i}.png") for i in range(1, 7)]
        assert np.abs(frames[0].astype(int) - first).max() <= 1
        assert np.abs(frames[5].astype(int) - second).max() <= 1
        assert len({frame.tobytes() for frame in frames}) == 6
        with Image.open(tmp_path / "way" / "images" / f"00001_{kind}.gif") as gif:
            assert getattr(gif, "n_frames", 1) == 6 + 4
            assert gif.info["loop"] == 0
            gif.seek(5)
            shown = np.asarray(gif.convert("RGB"), dtype=int)
        assert np.abs(shown - frames[5]).mean() < 8


@pytest.mark.parametrize("after", [5, 11, 12])
def test_interrupted_and_continued(data: Path, model: Path, tmp_path: Path, after: int) -> None:
    """Killed while it writes pictures, the same command completes the folder as if nothing had happened."""
    words: list[str | Path] = ["sample", model, data / "train", "--pairs", "--num-samples", "2", "--device", "cpu"]
    sample(model, data / "train", "--pairs", "--num-samples", "2", out=tmp_path / "whole")
    out = tmp_path / "out"

    def kill_at_a_picture() -> None:
        original, calls = sample_folder.save_image, 0

        def saving(image: Any, path: Path, **carried: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == after:
                (path.parent / f".{path.name}.1.tmp").write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)
            original(image, path, **carried)

        sample_folder.save_image = saving

    assert wait_for(fork(*words, "--out", out, before=kill_at_a_picture)) == -signal.SIGKILL
    assert not (out / "index.html").exists()
    kept = {name: (out / name).stat().st_mtime_ns for name in files_of(out) if name.startswith("images/00001")}
    (out / "samples.jsonl").open("a").write('{"name": "000')
    sample(model, *words[2:-2], out=out)
    assert files_of(out) == files_of(tmp_path / "whole")
    if after > 5:
        assert kept == {name: (out / name).stat().st_mtime_ns for name in kept}


def test_a_changed_input_is_sampled_again(data: Path, model: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    drawing = inputs / "drawing.png"
    half = pixels(data / "test" / "00001.png")[:, :32]
    Image.fromarray(half).save(drawing)
    sample(model, inputs, "--num-samples", "1", out=tmp_path / "out")
    before = pixels(tmp_path / "out" / "images" / "drawing_random_01.png")
    Image.fromarray(255 - half).save(drawing)
    sample(model, inputs, "--num-samples", "1", out=tmp_path / "out")
    assert np.array_equal(pixels(tmp_path / "out" / "images" / "drawing_input.png"), 255 - half)
    assert not np.array_equal(before, pixels(tmp_path / "out" / "images" / "drawing_random_01.png"))


@pytest.mark.parametrize("fit", ["pad", "resize"])
def test_odd_sizes(model: Path, tmp_path: Path, fit: str) -> None:
    sizes = {"wide": (17, 45), "dot": (1, 1), "tall": (70, 3)}
    (tmp_path / "in").mkdir()
    for name, size in sizes.items():
        Image.fromarray(np.full((*size, 3), 200, np.uint8)).save(tmp_path / "in" / f"{name}.png")
    sample(model, tmp_path / "in", "--fit", fit, "--num-samples", "1", out=tmp_path / "out")
    for name, size in sizes.items():
        assert pixels(tmp_path / "out" / "images" / f"{name}_random_01.png").shape == (*size, 3)


def test_names(model: Path, tmp_path: Path) -> None:
    """Odd characters, and the same name from different folders: nothing is overwritten, the page shows all."""
    places = [f"first/{ODD_NAME}.png", "first/x.png", "second/x.png", "second/x-2.png", "second/X.jpg", "third/x.webp"]
    for index, place in enumerate(places):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 20 * index, np.uint8)).save(tmp_path / place, quality=100, lossless=True)
    inputs = [tmp_path / name for name in ("first", "second", "third")]
    sample(model, *inputs, "--num-samples", "1", out=tmp_path / "out")
    records = {record["source"].partition(" sha256:")[0]: record for record in records_of(tmp_path / "out")[1:]}
    assert sorted(records) == sorted(str((tmp_path / place).resolve()) for place in places)
    names = [record["name"] for record in records.values()]
    assert len({name.casefold() for name in names}) == len(places)
    assert {ODD_NAME, "x", "x-2"} < set(names)
    for index, place in enumerate(places):
        shown = pixels(tmp_path / "out" / records[str((tmp_path / place).resolve())]["input"])
        assert np.abs(shown.astype(int) - 20 * index).max() <= 2
    assert_page_is_whole(tmp_path / "out" / "index.html", least=2 * len(places))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_formats(data: Path, tmp_path: Path, suffix: str) -> None:
    """Also of a model with four channels, which JPEG does not have."""
    write_pairs(tmp_path / "data" / "test", 1, mode="RGBA")
    write_pairs(tmp_path / "data" / "train", 1, mode="RGBA")
    train(tmp_path / "data", tmp_path / "run", steps=1, output_channels=4)
    sample(tmp_path / "run", tmp_path / "data", "--format", suffix, "--num-samples", "2", out=tmp_path / "out")
    pictures = sorted((tmp_path / "out" / "images").glob("0_random_0*"))
    assert [path.suffix for path in pictures] == [f".{suffix}"] * 2
    assert_page_is_whole(tmp_path / "out" / "index.html", least=4)


def test_a_model_of_an_untrained_step(data: Path, tmp_path: Path) -> None:
    """There is a model from the first moment on."""
    out = tmp_path / "run"
    pid = fork("train", data, "--out", out, *tiny(steps=100_000))
    until(lambda: (out / "checkpoints").is_dir() and any((out / "checkpoints").glob("step-*")), pid)
    os.kill(pid, signal.SIGKILL)
    wait_for(pid)
    sample(out, data, "--num-samples", "1", out=tmp_path / "samples")
    assert records_of(tmp_path / "samples")[0]["steps"] is not None


def test_which_split(data: Path, model: Path, tmp_path: Path) -> None:
    sample(model, data, "--split", "train", "--num-samples", "1", out=tmp_path / "train")
    assert len(records_of(tmp_path / "train")) == 1 + 7
    without_test = Path(shutil.copytree(data, tmp_path / "data"))
    shutil.rmtree(without_test / "test")
    finished = tandem("sample", model, without_test, "--split", "test", "--out", tmp_path / "out")
    assert finished.status == 1
    assert "no split 'test', only train, val" in finished.err


def test_no_leftovers(data: Path, model: Path, tmp_path: Path) -> None:
    sample(model, data, "--num-samples", "1", out=tmp_path / "out")
    assert leftovers(tmp_path) == []


def test_the_translator_is_what_is_sampled(data: Path, model: Path, tmp_path: Path) -> None:
    sample(model, data / "test" / "00001.png", "--num-samples", "2", "--seed", "9", out=tmp_path / "out")
    translator: Translator = package.load(model, device="cpu")
    images = translator(data / "test" / "00001.png", num_samples=2, seed=9)
    for index, image in enumerate(images, 1):
        assert np.array_equal(np.asarray(image), pixels(tmp_path / "out" / "images" / f"00001_random_0{index}.png"))
