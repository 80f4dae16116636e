"""Where results go: what is said of a path before any work begins; nothing is made by asking."""

import os
from pathlib import Path

import pytest

from tandem.errors import ConfigError
from tandem.targets import file_problems, folder_problems, require_folder_target


def of_folder(path: Path, **options: str) -> list[str]:
    return [problem.text for problem in folder_problems(path, "the run", **options)]


def of_file(path: Path) -> list[str]:
    return [problem.text for problem in file_problems(path, "the picture", example="x.png")]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken").symlink_to(tmp_path / "volume")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "link").symlink_to(tmp_path / "folder.png")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["new", "a/b/c", "folder.png", "link", "link/new", "v1.5", "\u732b" * 80, "/".join(["d" * 60] * 6), "a\nb", "out."],
)
def test_what_can_be_a_folder(place: Path, name: str) -> None:
    assert of_folder(place / name) == []


@pytest.mark.parametrize("name", ["new.png", "a/b/c.png", "file", "link/x.png", "x" * 251 + ".png"])
def test_what_can_be_a_file(place: Path, name: str) -> None:
    before = sorted(place.rglob("*"))
    assert of_file(place / name) == []
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("broken", "is a link to {place}/volume, which is not there: mount or make it"),
        ("broken/run", "{place}/broken is a link to {place}/volume, which is not there"),
        ("loop", "is a link to {place}/loop, which is not there"),
        ("file/run", "{place}/file is a file, so that nothing can lie in it"),
        ("a" * 256, "a name in it has 256 bytes; give one of at most 255"),
        ("\u732b" * 86 + "/run", "a name in it has 258 bytes"),
        ("/".join(["d" * 200] * 21), "the path has"),
    ],
)
def test_what_can_be_neither(place: Path, name: str, says: str) -> None:
    for problems in (of_folder(place / name), of_file(place / name)):
        assert len(problems) == 1
        assert problems[0].startswith("--out")
        assert says.format(place=place) in problems[0]


@pytest.mark.parametrize("ending", [".onnx", ".PNG", ".tar", ".mp4", ".json", ".safetensors", ".html"])
def test_a_folder_is_not_called_like_a_file(place: Path, ending: str) -> None:
    (text,) = of_folder(place / f"x{ending}", option="OUT")
    assert text.startswith(f"OUT {place}/x{ending} is named like a file ('{ending.lower()}'), and the run is a folder")
    (text,) = of_folder(place / f"x{ending}", instead="do that")
    assert text.endswith("is a folder: do that")
    (place / f"x{ending}").mkdir()  # whoever has made it wants it
    assert of_folder(place / f"x{ending}") == []


def test_kinds_are_not_confused(place: Path) -> None:
    assert "is a file: give a folder for the run" in of_folder(place / "file")[0]
    assert (
        f"is a folder, and the picture is a file: give its name, e.g. {place}/link/x.png" in of_file(place / "link")[0]
    )
    os.mkfifo(place / "pipe.png")
    assert "is no plain file" in of_file(place / "pipe.png")[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_permissions(place: Path) -> None:
    place.chmod(0o500)
    try:
        assert "may not be written to" in of_folder(place / "run")[0]
        assert "may not be written to" in of_file(place / "x.png")[0]
    finally:
        place.chmod(0o700)


def test_the_error_carries_the_option_and_the_path(place: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        require_folder_target(place / "file", "the cache", option="--cache")
    (problem,) = raised.value.problems
    assert (problem.option, problem.given) == ("--cache", place / "file")
