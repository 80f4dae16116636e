"""``tandem sample`` with videos that cannot be used, or options that do not go with them: said, and nothing written."""

import sys
from pathlib import Path

import pytest
from PIL import Image
from support import files_of, tandem

from tandem.errors import MissingExtraError
from videos import moving_frames, write_gif, write_video

MISUSED = [
    (["in.gif", "--out", "out"], "is one file that ends in .mp4, .mov, .mkv or .gif"),
    (["in.gif", "--out", "out.webm"], "is one file that ends in .mp4, .mov, .mkv or .gif"),
    (["in.gif", "--out", "in.gif"], "is the input itself"),
    (["in.gif", "--out", "folder.mp4"], "is a folder"),
    (["in.gif", "--out", "o.gif", "--num-samples", "3"], "in.gif is a video, for which --num-samples has no effect"),
    (["in.gif", "--out", "o.gif", "--max-batch", "2"], "in.gif is a video, for which --max-batch has no effect"),
    (["in.gif", "--out", "o.gif", "--pairs", "--format", "jpg"], "--pairs has no effect; --format has no effect"),
    (["in.gif", "--out", "o.gif", "--mode", "encode"], "there is no --mode encode"),
    (["in.gif", "--out", "o.gif", "--mode", "reference"], "--mode reference needs --reference IMAGE"),
    (["in.gif", "--out", "o.gif", "--batch-size", "0"], "--batch-size must be at least 1, not 0"),
    (["in.gif", "--out", "o.gif", "--walk", "0"], "--walk must be above 0, not 0.0"),
    (["in.gif", "--out", "o.gif", "--walk", ".inf"], "--walk must be a number above 0, not '.inf'"),
    (["in.gif", "--out", "o.gif", "--walk-latents", "3"], "--walk-latents goes with --walk"),
    (["in.gif", "--out", "o.gif", "--walk", "1", "--walk-latents", "1"], "--walk-latents must be at least 2"),
    (["in.gif", "--out", "o.gif", "--z", "two.json"], "2 latents were given for a video"),
    (["in.gif", "--out", "o.gif", "--z", "one.json", "--walk", "2"], "at least two latents"),
    (["in.gif", "--out", "o.gif", "--z", "short.json"], "the latents have 2 numbers, but this model's have 3"),
    (["in.gif", "--out", "o.gif", "--z", "one.json", "--reference", "a.png"], "choose one of them"),
    (["in.mp4", "a.png", "--out", "o.mp4"], "videos are translated one at a time"),
    (["a.png", "--out", "o", "--walk", "2"], "--walk: only for a video"),
    (["a.png", "--out", "o", "--batch-size", "2"], "--batch-size: only for a video"),
]
UNUSABLE = [
    (["none.mp4", "--out", "o.mp4"], "none.mp4: there is no such file or folder"),
    (["text.mp4", "--out", "o.mp4"], "damaged, or no video that can be read"),
    (["empty.mkv", "--out", "o.mp4"], "the file is empty"),
    (["half.mkv", "--out", "o.mp4"], "half.mkv: cut off"),
    (["half.gif", "--out", "o.gif"], "half.gif: cut off"),
    (["fast.mp4", "--out", "o.gif"], "has 60 frames a second; a GIF shows at most 50"),
    (["in.gif", "--out", "o.gif", "--reference", "none.png"], "none.png: No such file"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the cases name."""
    frames = moving_frames(12)
    write_video(tmp_path / "in.mp4", frames)
    write_video(tmp_path / "fast.mp4", frames, rate=60)
    write_gif(tmp_path / "in.gif", [Image.fromarray(frame) for frame in frames], 50)
    write_video(tmp_path / "half.mkv", frames)
    for name, source in (("half.mkv", "half.mkv"), ("half.gif", "in.gif")):
        whole = (tmp_path / source).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("hello process_group" * 99)
    (tmp_path / "empty.mkv").touch()
    (tmp_path / "folder.mp4").mkdir()
    Image.fromarray(frames[0]).save(tmp_path / "a.png")
    for name, latents in (("two", "[[1, 2, 3], [4, 5, 6]]"), ("one", "[1, 2, 3]"), ("short", "[1, 2]")):
        (tmp_path / f"{name}.json").write_text(latents)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("words", "says"), [*MISUSED, *UNUSABLE])
def test_what_does_not_work_is_refused(model: Path, place: Path, words: list[str], says: str) -> None:
    """With status 2 for the options, 1 for the files; no file has come or changed."""
    before = files_of(place)
    refused = tandem("sample", model, *words, "--device", "cpu")
    assert says in refused.err
    assert refused.status == (1 if (words, says) in UNUSABLE else 2)
    assert files_of(place) == before
    assert not (place / "o").exists()


def test_without_the_extra(model: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A video needs it, reading or writing; from GIF to GIF it is not missed."""
    monkeypatch.setitem(sys.modules, "av", None)
    for words in (["in.mp4", "--out", "o.mp4"], ["in.mp4", "--out", "o.gif"], ["in.gif", "--out", "o.mp4"]):
        refused = tandem("sample", model, *words, "--device", "cpu")
        assert refused.status == 1
        assert str(MissingExtraError("av", "video", "reading and writing videos")) in refused.err
    assert not list(place.glob("o.*"))
    assert tandem("sample", model, "in.gif", "--out", "o.gif", "--device", "cpu").status == 0
