"""The folder that sampling writes: what is in it, what is kept, what is made again, what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tandem.data.image_file import DiskFile
from tandem.data.splits import Pair, SingleImage
from tandem.errors import ConfigError, DataError
from tandem.inference.jobs import Job
from tandem.inference.sample_folder import sample_to_folder
from tandem.inference.sampling import SamplingOptions
from tandem.inference.translator import Translator, load

MakeBundle = Callable[..., Path]
TWO = SamplingOptions(num_samples=2)


@pytest.fixture
def translator(make_bundle: MakeBundle) -> Translator:
    return load(make_bundle(), device="cpu")


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    sources = []
    for name, value in (("a", 40), ("b", 90)):
        path = tmp_path / f"{name}.png"
        half = np.full((9, 10, 3), value, np.uint8)
        Image.fromarray(np.hstack([half, 255 - half])).save(path)
        sources.append((name, path))
    (first, path_a), (second, path_b) = sources
    return [Job(first, SingleImage(first, DiskFile(path_a))), Job(second, Pair(second, DiskFile(path_b), None))]


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]


def stamps(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (out / "images").iterdir()}


def test_what_is_in_it(translator: Translator, jobs: list[Job], tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen: list[tuple[int, int]] = []
    page = sample_to_folder(translator, jobs, out, TWO, on_progress=lambda done, total: seen.append((done, total)))
    assert page == out / "index.html"
    assert seen == [(1, 2), (2, 2)]
    shared = ["input", "random_01", "random_02", "random_grid"]
    expected = {f"{name}_{kind}.png" for name in "ab" for kind in shared} | {"b_ground_truth.png"}
    assert {path.name for path in (out / "images").iterdir()} == expected
    settings, first, second = lines(out)
    assert (settings["mode"], settings["num_samples"], settings["seed"], settings["steps"]) == ("random", 2, 0, 7)
    assert settings["model"] == translator.manifest.weights.sha256  # type: ignore[union-attr]
    assert first["name"] == "a"
    assert "ground_truth" not in first
    assert second["ground_truth"] == "images/b_ground_truth.png"
    z = [sample["z"] for sample in first["series"][0]["samples"]]
    np.testing.assert_array_equal(np.asarray(z, np.float32), translator.sample_z(2))


def test_the_grid_has_the_input_first(translator: Translator, jobs: list[Job], tmp_path: Path) -> None:
    sample_to_folder(translator, jobs, tmp_path / "out", TWO)
    with Image.open(tmp_path / "out" / "images" / "b_random_grid.png") as grid:
        pixels = np.asarray(grid.convert("RGB"))
    truth_of_b, input_of_b = 255 - 90, 90
    columns = [np.flatnonzero((pixels == value).all(2).any(0)) for value in (input_of_b, truth_of_b)]
    assert columns[0].size >= 10
    assert columns[0].max() < columns[1].min()


def test_the_same_call_changes_nothing(translator: Translator, jobs: list[Job], tmp_path: Path) -> None:
    out = tmp_path / "out"
    sample_to_folder(translator, jobs, out, TWO)
    before, record = stamps(out), (out / "samples.jsonl").read_bytes()
    sample_to_folder(translator, jobs, out, TWO)
    assert stamps(out) == before
    assert (out / "samples.jsonl").read_bytes() == record


def test_only_what_is_missing_or_changed_is_made_again(translator: Translator, jobs: list[Job], tmp_path: Path) -> None:
    out = tmp_path / "out"
    sample_to_folder(translator, jobs, out, TWO)
    before = stamps(out)
    (out / "images" / "a_random_02.png").unlink()
    sample_to_folder(translator, jobs, out, TWO)
    after = stamps(out)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] == before[name]} == {name for name in after if name.startswith("b_")}
    Image.fromarray(np.zeros((9, 20, 3), np.uint8)).save(tmp_path / "b.png")
    sample_to_folder(translator, jobs, out, TWO)
    assert all((stamps(out)[name] != after[name]) == name.startswith("b_") for name in after)


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"fit": "resize"}, {"num_samples": 3}, {"mode": "interpolate"}, {"z": np.ones((2, 2), np.float32)}],
)
def test_other_settings_make_everything_again(
    translator: Translator, jobs: list[Job], tmp_path: Path, change: dict[str, Any]
) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    sample_to_folder(translator, jobs, out, TWO)
    options = SamplingOptions(**({"num_samples": 2} | change))
    sample_to_folder(translator, jobs, out, options)
    sample_to_folder(translator, jobs, fresh, options)
    assert lines(out) == lines(fresh)
    for path in (fresh / "images").iterdir():
        assert path.read_bytes() == (out / "images" / path.name).read_bytes()


def test_another_model_makes_everything_again(
    translator: Translator, make_bundle: MakeBundle, jobs: list[Job], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sample_to_folder(translator, jobs, out, TWO)
    before = stamps(out)
    other = load(make_bundle("other", generator={"filters": 5}), device="cpu")
    sample_to_folder(other, jobs, out, TWO)
    assert all(stamps(out)[name] != before[name] for name in before)


def test_a_changed_reference_makes_everything_again(translator: Translator, jobs: list[Job], tmp_path: Path) -> None:
    out, style = tmp_path / "out", tmp_path / "style.png"
    options = SamplingOptions(mode="reference", references=[style])
    latents = []
    for value in (0, 255):
        Image.fromarray(np.full((16, 16, 3), value, np.uint8)).save(style)
        sample_to_folder(translator, jobs, out, options)
        latents.append(lines(out)[1]["series"][0]["samples"][0]["z"])
        assert (out / "images" / "a_reference.png").is_file()
    assert latents[0] != latents[1]


def test_a_record_cut_off_by_a_kill(translator: Translator, jobs: list[Job], tmp_path: Path) -> None:
    out = tmp_path / "out"
    sample_to_folder(translator, jobs, out, TWO)
    whole = lines(out)
    text = (out / "samples.jsonl").read_text()
    (out / "samples.jsonl").write_text(text[:-40])
    before = stamps(out)
    sample_to_folder(translator, jobs, out, TWO)
    assert lines(out) == whole
    assert stamps(out)["a_input.png"] == before["a_input.png"]


@pytest.mark.parametrize("content", ['{"x": 1}', "[1, 2]", '{"name": "a", "input": 3, "series": []}', '"text"'])
def test_a_damaged_record_is_named(translator: Translator, jobs: list[Job], tmp_path: Path, content: str) -> None:
    out = tmp_path / "out"
    sample_to_folder(translator, jobs, out, TWO)
    first = (out / "samples.jsonl").read_text().splitlines()[0]
    (out / "samples.jsonl").write_text(f"{first}\n{content}\n")
    with pytest.raises(DataError, match=r"samples\.jsonl is damaged .* remove it"):
        sample_to_folder(translator, jobs, out, TWO)


@pytest.mark.parametrize("name", ["index.html", "thesis.tex", "images"])
def test_a_foreign_folder_is_refused(translator: Translator, jobs: list[Job], tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(ConfigError, match="holds other files and no samples"):
        sample_to_folder(translator, jobs, out, TWO)
    assert [path.read_text() for path in out.iterdir()] == ["mine"]


def test_a_folder_with_nothing_but_a_leftover_is_fine(translator: Translator, jobs: list[Job], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".samples.jsonl.17.tmp").write_text("half")
    sample_to_folder(translator, jobs, out, TWO)
    assert not (out / ".samples.jsonl.17.tmp").exists()


def test_a_file_is_refused(translator: Translator, jobs: list[Job], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a file: give a folder"):
        sample_to_folder(translator, jobs, tmp_path / "a.png", TWO)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_any_number_of_channels(
    make_bundle: MakeBundle, jobs: list[Job], tmp_path: Path, channels: int, suffix: Any
) -> None:
    """Grey with alpha stays so where the format has it."""
    translator = load(make_bundle(channels=(3, channels)), device="cpu")
    options = SamplingOptions(num_samples=1, image_format=suffix)
    sample_to_folder(translator, jobs[:1], tmp_path / "out", options)
    with Image.open(tmp_path / "out" / "images" / f"a_random_01.{suffix}") as image:
        assert image.size == (20, 9)
        if suffix == "png":
            assert image.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
