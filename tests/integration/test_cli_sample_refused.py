"""``tandem sample`` with what does not work: it is said, with the right status, and nothing of the user is harmed."""

import shutil
from pathlib import Path

import pytest
from support import assert_page_is_whole, files_of, sample, tandem

UNUSABLE = [
    (["MODEL", "nowhere.png", "none"], "nowhere.png: there is no such file or folder"),
    (["nowhere", "DATA"], "no model at nowhere"),
    (["DATA", "DATA"], "holds no model.json"),
    (["MODEL", "DATA", "--mode", "reference", "--reference", "x.png"], "x.png: No such file"),
    (["MODEL", "DATA/test/00001.png", "--mode", "encode"], "needs pairs"),
]
MISUSED = [
    (["MODEL"], "missing: INPUTS"),
    (["MODEL", "DATA", "--mode", "rnadom"], "Did you mean random?"),
    (["MODEL", "DATA", "--num-samples", "0"], "--num-samples must be at least 1, not 0"),
    (["MODEL", "DATA", "--mode", "interpolate", "--num-samples", "1"], "at least 2"),
    (["MODEL", "DATA", "--mode", "reference"], "need each other"),
    (["MODEL", "DATA", "--reference", "x.png"], "need each other"),
    (["MODEL", "DATA", "--format", "gif"], "must be one of png, jpg, webp"),
    (["MODEL", "DATA", "--z", "z.json"], "--z z.json is no JSON list of latents"),
    (["MODEL", "DATA", "--device", "cuda:99"], "--device cuda:99: this machine does not have it"),
    (["MODEL", "DATA", "--pair"], "there is no option --pair. Did you mean --pairs?"),
    (["MODEL", "DATA", "--format", "exr"], "holds float16, float32, uint32, and the outputs of this model are uint8"),
]


@pytest.mark.parametrize(("words", "says"), [*UNUSABLE, *MISUSED])
def test_what_does_not_work_is_refused(data: Path, model: Path, tmp_path: Path, words: list[str], says: str) -> None:
    """Unusable files end with status 1, the wrong use of options with 2; nothing is written."""
    places = {"MODEL": str(model), "DATA": str(data)}
    given = [str(data / word[5:]) if word.startswith("DATA/") else places.get(word, word) for word in words]
    refused = tandem("sample", *given, "--out", tmp_path / "out")
    assert refused.status == (1 if (words, says) in UNUSABLE else 2)
    assert says in refused.err
    assert not list((tmp_path / "out").rglob("*.png"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[1, 2], [3]]", "no JSON list of latents"),
        ("[[1, 2], [3, 4]]", "z has the shape (2, 2); expected (3,)"),
        ("[NaN, 1, 1]", "not finite"),
        ('{"z": 1}', "no JSON list of latents"),
        ("[]", "must hold one latent or a list of latents"),
        ("[" * 100_000, "no JSON list of latents"),
        ('["a", "b", "c"]', "no JSON list of latents"),
    ],
)
def test_bad_latents(data: Path, model: Path, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "z.json").write_text(text)
    refused = tandem("sample", model, data, "--out", tmp_path / "out", "--z", tmp_path / "z.json")
    assert refused.status == 2
    assert says in refused.err


def test_an_unreadable_input(data: Path, model: Path, tmp_path: Path) -> None:
    """It is named; what was finished before stays, and the mended folder is completed."""
    inputs = Path(shutil.copytree(data / "test", tmp_path / "in"))
    good = (inputs / "00002.png").read_bytes()
    (inputs / "00002.png").write_bytes(good[:200])
    refused = tandem("sample", model, inputs, "--out", tmp_path / "out", "--num-samples", "1")
    assert refused.status == 1
    assert "00002.png" in refused.err
    assert (tmp_path / "out" / "images" / "00001_random_01.png").is_file()
    (inputs / "00002.png").write_bytes(good)
    sample(model, inputs, "--num-samples", "1", out=tmp_path / "out")
    assert_page_is_whole(tmp_path / "out" / "index.html", least=4)


@pytest.mark.parametrize("kind", ["run", "dataset", "file"])
def test_an_out_that_is_something_else(data: Path, model: Path, tmp_path: Path, kind: str) -> None:
    """The page of a run and the images of a dataset are not written over."""
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    else:
        shutil.copytree(model if kind == "run" else data, out)
    before = files_of(tmp_path)
    refused = tandem("sample", model, data, "--out", out)
    assert refused.status == 2
    assert f"--out {out} " in refused.err
    assert files_of(tmp_path) == before


def test_a_damaged_record_is_refused_or_begun_anew(data: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sample(model, data, "--num-samples", "1", out=out)
    before = files_of(out)
    lines = (out / "samples.jsonl").read_text().splitlines()
    (out / "samples.jsonl").write_text("\n".join(["{", *lines[1:]]) + "\n")
    sample(model, data, "--num-samples", "1", out=out)
    assert files_of(out) == before
    (out / "samples.jsonl").write_text("\n".join([lines[0], '{"name": 3}']) + "\n")
    refused = tandem("sample", model, data, "--num-samples", "1", "--out", out)
    assert refused.status == 1
    assert "is damaged" in refused.err


@pytest.mark.parametrize(
    "text", ["[[1" + "0" * 400 + ", 0, 0]]", '[["1", "2", "3"]]', "[[true, false, true]]", "[[1e39, 0, 0]]"]
)
def test_numbers_that_are_none(data: Path, model: Path, tmp_path: Path, text: str) -> None:
    """Integers that no float holds, texts and truth values are no latents."""
    (tmp_path / "z.json").write_text(text)
    refused = tandem("sample", model, data, "--out", tmp_path / "out", "--z", tmp_path / "z.json")
    assert refused.status == 2
    assert "latents" in refused.err or "not finite" in refused.err
    assert not (tmp_path / "out").exists()
