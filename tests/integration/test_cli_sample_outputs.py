"""``tandem sample``: one picture, outputs alone, what an earlier sampling left, inputs that cannot be read."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import Finished, files_of, pixels, tandem

MakeBundle = Callable[..., Path]


@pytest.fixture
def model(make_bundle: MakeBundle) -> Path:
    return make_bundle()


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    for index, name in enumerate(("a", "b")):
        picture(tmp_path / "in" / f"{name}.png", seed=index)
    return tmp_path / "in"


def picture(path: Path, *, width: int = 16, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (16, width, 3), dtype=np.uint8)
    Image.fromarray(values).save(path, format="PNG")
    return path


def sample(*words: str | Path, out: Path, status: int = 0) -> Finished:
    finished = tandem("sample", *words, "--out", out, "--device", "cpu")
    assert finished.status == status, finished.err
    return finished


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".PNG"])
def test_one_picture(model: Path, inputs: Path, tmp_path: Path, ending: str) -> None:
    """It is the first sample that a folder would get, and nothing else is written."""
    out = tmp_path / "results" / f"x{ending}"
    finished = sample(model, inputs / "a.png", out=out)
    assert finished.err.splitlines()[-1] == f"outputs: {out}"
    assert names(out.parent) == [out.name]
    assert Image.open(out).size == (16, 16)
    if ending == ".png":
        sample(model, inputs / "a.png", "--num-samples", "3", out=tmp_path / "folder")
        assert np.array_equal(pixels(out), pixels(tmp_path / "folder" / "images" / "a_random_01.png"))


def test_several_samples_of_one_picture_are_numbered(model: Path, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sample(model, inputs / "a.png", "--num-samples", "3", out=out / "x.png")
    assert names(out) == ["x_01.png", "x_02.png", "x_03.png"]
    sample(model, inputs / "a.png", "--mode", "interpolate", "--num-samples", "2", out=out / "way.jpg")
    assert names(out)[:4] == [f"way_{kind}_0{index}.jpg" for kind in ("linear", "spherical") for index in (1, 2)]


def test_a_picture_that_is_there_is_replaced_but_no_input(model: Path, inputs: Path, tmp_path: Path) -> None:
    before = files_of(inputs)
    refused = sample(model, inputs / "a.png", out=inputs / "a.png", status=2)
    assert "is an input itself" in refused.err
    (tmp_path / "link.png").symlink_to(inputs / "b.png")
    refused = sample(model, inputs / "a.png", "--mode", "reference", "--reference", inputs / "b.png",
                     out=tmp_path / "link.png", status=2)  # fmt: skip
    assert "is an input itself" in refused.err
    assert files_of(inputs) == before
    (tmp_path / "x.png").write_bytes(b"old")
    sample(model, inputs / "a.png", out=tmp_path / "x.png")
    assert Image.open(tmp_path / "x.png").size == (16, 16)


@pytest.mark.parametrize(
    ("words", "out", "says"),
    [
        (["IN"], "x.png", "is one picture, and there are 2 inputs: give a folder, e.g. --out {tmp}/x --only outputs"),
        (["IN/a.png", "--format", "jpg"], "x.png", "--format has no effect: the ending of --out"),
        (["IN/a.png"], "m.onnx", "is named like a file ('.onnx')"),
        (["IN/a.png"], "x.gif", "give a folder, or one picture, whose name ends in .png, .jpg, .jpeg, .webp"),
        (["IN/a.png"], "x.mp4", "is named like a file ('.mp4')"),
        (["IN"], "in/a.png/y", "{tmp}/in/a.png is a file, so that nothing can lie in it"),
        (["IN"], "in", "holds other files and no samples"),
        (["IN", "--only", "outputs"], "in", "holds other files and no samples"),
        (["IN"], "x" * 300, "a name in it has 300 bytes"),
        (["IN/a.png"], "x" * 300 + ".png", "a name in it has 304 bytes"),
    ],
)
def test_the_kind_of_out(model: Path, inputs: Path, words: list[str], out: str, says: str) -> None:
    """A folder is not made of a file's name, nor the other way round; nothing is left behind."""
    tmp_path = inputs.parent
    before = names(tmp_path)
    given = [word.replace("IN", str(inputs)) for word in words]
    refused = sample(model, *given, out=tmp_path / out, status=2)
    assert says.format(tmp=tmp_path) in refused.err
    assert names(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["in", "model"]


def test_a_folder_called_like_a_picture(model: Path, inputs: Path, tmp_path: Path) -> None:
    """It is a folder, as a result and among the inputs."""
    out = tmp_path / "scans.png"
    out.mkdir()
    (inputs / "scans.jpg").mkdir()
    sample(model, inputs, "--only", "outputs", out=out)
    assert names(out) == [".samples.jsonl", "a.png", "b.png"]


def test_outputs_alone(model: Path, inputs: Path, tmp_path: Path) -> None:
    """One is called like its input, several are numbered; they are the samples of a folder with everything."""
    one, three, whole = (tmp_path / name for name in ("one", "three", "whole"))
    finished = sample(model, inputs, "--only", "outputs", "--format", "webp", out=one)
    assert finished.err.splitlines()[-1] == f"outputs: {one}"
    assert names(one) == [".samples.jsonl", "a.webp", "b.webp"]
    sample(model, inputs, "--only", "outputs", "--num-samples", "3", out=three)
    assert names(three) == [".samples.jsonl", *(f"{name}_0{index}.png" for name in "ab" for index in (1, 2, 3))]
    sample(model, inputs, "--num-samples", "3", out=whole)
    for name in ("a_02", "b_03"):
        expected = pixels(whole / "images" / f"{name[0]}_random_{name[2:]}.png")
        assert np.array_equal(pixels(three / f"{name}.png"), expected)


def test_outputs_alone_are_continued(model: Path, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sample(model, inputs, "--only", "outputs", out=out)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / "b.png").unlink()
    sample(model, inputs, "--only", "outputs", out=out)
    after = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] == before[name]} == {"a.png"}


def test_a_single_output_has_no_grid(model: Path, inputs: Path, tmp_path: Path) -> None:
    sample(model, inputs / "a.png", "--num-samples", "1", out=tmp_path / "out")
    assert names(tmp_path / "out") == ["images/a_input.png", "images/a_random_01.png", "index.html", "samples.jsonl"]
    assert "grid" not in (tmp_path / "out" / "index.html").read_text().partition("<main")[2]


@pytest.mark.parametrize("only", [[], ["--only", "outputs"]])
def test_pictures_of_an_earlier_sampling_go(
    model: Path, make_bundle: MakeBundle, inputs: Path, tmp_path: Path, only: list[str]
) -> None:
    """All that belong no more, and none that somebody has put there or changed."""
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    other = make_bundle("other", generator={"filters": 5})
    sample(other, inputs, "--num-samples", "4", *only, out=out)
    folder = out if only else out / "images"
    changed, mine = folder / ("b_04.png" if only else "b_random_04.png"), folder / "mine.png"
    for path in (changed, mine):
        path.write_bytes(b"mine")
    finished = sample(model, inputs / "a.png", "--num-samples", "2", *only, out=out)
    assert f"{changed} has been changed since it was sampled: it stays" in finished.err
    assert [path.read_bytes() for path in (changed, mine)] == [b"mine", b"mine"]
    for path in (changed, mine):
        path.unlink()
    sample(model, inputs / "a.png", "--num-samples", "2", *only, out=fresh)
    assert files_of(out) == files_of(fresh)


def test_from_everything_to_outputs_alone_and_back(model: Path, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for only in ([], ["--only", "outputs"], []):
        sample(model, inputs, "--num-samples", "2", *only, out=out)
        sample(model, inputs, "--num-samples", "2", *only, out=tmp_path / f"fresh{len(only)}")
        assert files_of(out) == files_of(tmp_path / f"fresh{len(only)}")
        assert sorted(path.name for path in out.iterdir()) == sorted(
            path.name for path in (tmp_path / f"fresh{len(only)}").iterdir()
        )


@pytest.mark.parametrize("file", ["../mine.png", "images/../../mine.png", "/etc/passwd", "link/mine.png", "", ".."])
def test_a_record_cannot_name_files_elsewhere(model: Path, inputs: Path, tmp_path: Path, file: str) -> None:
    """A record of a stranger makes nothing go away outside of its folder."""
    out = tmp_path / "out"
    sample(model, inputs / "a.png", "--num-samples", "1", out=out)
    digest = json.loads((out / "samples.jsonl").read_text().splitlines()[1])["files"]["images/a_random_01.png"]
    shutil.copy(out / "images" / "a_random_01.png", tmp_path / "mine.png")
    (out / "link").symlink_to(tmp_path)
    (out / "samples.jsonl").write_text(f"{{}}\n{json.dumps({'name': 'x', 'files': {file: digest}})}\n")
    finished = sample(model, inputs / "b.png", "--num-samples", "1", out=out)
    assert ("names no files: what belongs to it stays" in finished.err) == (file != "link/mine.png")
    assert (tmp_path / "mine.png").is_file()


@pytest.mark.parametrize("only", [[], ["--only", "outputs"]])
def test_inputs_that_cannot_be_read(model: Path, inputs: Path, tmp_path: Path, only: list[str]) -> None:
    """All are named at the end with status 1, the others are done, and a rerun tries those again."""
    (inputs / "damaged.png").write_bytes((inputs / "a.png").read_bytes()[:60])
    (inputs / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(inputs / "pipe.png")
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    words = [model, inputs, "--num-samples", "1", *only]
    finished = sample(*words, out=out, status=1)
    assert "3 of 5 inputs cannot be used, and all others are finished" in finished.err
    assert all(f"{inputs / name}" in finished.err for name in ("damaged.png", "gone.png", "pipe.png"))
    done = {name: (out / name).stat().st_mtime_ns for name in names(out) if name.endswith(("a.png", "a_random_01.png"))}
    assert done
    (inputs / "pipe.png").unlink()
    assert "2 of 4 inputs" in sample(*words, out=out, status=1).err
    for name in ("damaged.png", "gone.png"):
        (inputs / name).unlink()
        shutil.copy(inputs / "b.png", inputs / name)
    sample(*words, out=out)
    assert done == {name: (out / name).stat().st_mtime_ns for name in done}
    sample(*words, out=fresh)
    assert {k: v for k, v in files_of(out).items() if not k.endswith("jsonl")} == {
        k: v for k, v in files_of(fresh).items() if not k.endswith("jsonl")
    }
    (inputs / "b.png").write_bytes(b"")  # what was made of it before belongs to nothing now
    sample(*words, out=out, status=1)
    assert not [name for name in names(out) if "b_random" in name or name == "b.png"]


def test_a_refused_sampling_leaves_nothing(model: Path, inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    before = names(tmp_path)
    sample(model, tmp_path / "bad.png", out=tmp_path / "new" / "out", status=1)
    sample(model, tmp_path / "bad.png", out=tmp_path / "new" / "x.png", status=1)
    sample(model, inputs, "--mode", "reference", "--reference", tmp_path / "bad.png", out=tmp_path / "new", status=1)
    sample(model, inputs, "--mode", "encode", out=tmp_path / "new", status=1)
    assert names(tmp_path) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("room", [255, 240, 204])
def test_long_names(model: Path, tmp_path: Path, room: int) -> None:
    """Outputs alone keep the name of their input; with our endings behind it a long one is shortened."""
    stem = "\u732b" * ((room - 4) // 3)
    stem += "x" * (room - 4 - len(stem.encode()))
    picture(tmp_path / "in" / f"{stem}.png")
    picture(tmp_path / "in" / f"{stem[:-1]}y.png", seed=1)
    sample(model, tmp_path / "in", "--only", "outputs", out=tmp_path / "only")
    assert {f"{stem}.png", f"{stem[:-1]}y.png"} <= set(names(tmp_path / "only"))
    for out, words in (("several", ["--only", "outputs", "--num-samples", "2"]), ("all", ["--num-samples", "2"])):
        sample(model, tmp_path / "in", *words, out=tmp_path / out)
        assert len([name for name in names(tmp_path / out) if name.endswith("_02.png")]) == 2
    sample(model, tmp_path / "in" / f"{stem}.png", out=tmp_path / "one" / f"{stem}.png")
    assert names(tmp_path / "one") == [f"{stem}.png"]


def test_names_that_are_no_text(model: Path, tmp_path: Path) -> None:
    """As unzipping old archives makes them, for inputs, for --out and for the model."""
    odd = os.fsdecode(b"\xc4\xe3")
    moved = Path(shutil.move(model, tmp_path / odd))
    picture(tmp_path / "in" / f"{odd}\x1b[2J.png")
    finished = sample(moved, tmp_path / "in", "--num-samples", "2", out=tmp_path / f"out-{odd}")
    assert finished.err.count("\x1b") == 0
    assert len(names(tmp_path / f"out-{odd}" / "images")) == 4
    sample(moved, tmp_path / "in", out=tmp_path / f"{odd}.png")
    assert (tmp_path / f"{odd}.png").is_file()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["DATA/test/1.png"], ["DATA/test/1.png", "--pairs"]),
        (["DATA/test/1.png", "--pairs"], ["DATA/test/1.png"]),
        (["DATA"], ["DATA/test"]),
        (["DATA"], ["DATA", "--split", "train"]),
        (["DATA"], ["DATA", "--format", "webp"]),
        (["DATA"], ["DATA", "--precision", "bf16"]),
        (["DATA"], ["DATA", "--mode", "encode"]),
    ],
)
def test_the_same_out_gives_what_a_new_one_gives(
    model: Path, tmp_path: Path, first: list[str], second: list[str]
) -> None:
    """Nothing of another call is taken for this one's; see tests/unit/test_sample_record.py for every option."""
    for index, split in enumerate(("train", "test")):
        picture(tmp_path / "data" / split / "1.png", width=32, seed=index)
    outs = (tmp_path / "out", tmp_path / "out", tmp_path / "fresh")
    for words, out in zip((first, second, second), outs, strict=True):
        given = [word.replace("DATA", str(tmp_path / "data")) for word in words]
        sample(model, *given, "--num-samples", "1", out=out)
    assert {k: v for k, v in files_of(outs[0]).items() if not k.endswith(("jsonl", "html"))} == {
        k: v for k, v in files_of(outs[2]).items() if not k.endswith(("jsonl", "html"))
    }
