"""What `tandem data check` says of data whose files can all be read."""

from pathlib import Path

import numpy as np
import pytest

import tandem
from tandem.commands import data_check


def write(root: Path, a: list[np.ndarray], b: list[np.ndarray], suffix: str = ".tif") -> Path:
    for side, images in (("A", a), ("B", b)):
        (root / f"train{side}").mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(images):
            tandem.write_image(root / f"train{side}" / f"{index}{suffix}", image)
    return root


def said(root: Path, caplog: pytest.LogCaptureFixture, *options: str) -> list[str]:
    with caplog.at_level("WARNING"):
        assert data_check.main([str(root), *options]) == 0
    return [record.message for record in caplog.records if record.levelname == "WARNING"]


def ramp(highest: int, dtype: type = np.uint16) -> np.ndarray:
    return np.linspace(0, highest, 32 * 32).round().astype(dtype).reshape(32, 32, 1)


def test_dark_files_of_sixteen_bits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write(tmp_path, [ramp(1000), ramp(4095)], [ramp(65535), ramp(10)])
    (remark,) = said(root, caplog, "--input-channels", "1", "--output-channels", "1")
    assert remark.startswith("A: 16-bit, largest value 4095 of 65535: 17 of 256 levels are left")
    assert remark.endswith("--range-a 0,4095 spreads them over all of it")
    assert len({round(value / 257) for value in range(4096)}) == 17  # the number that is said


def test_white_is_what_files_call_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write(tmp_path, [], [ramp(255, np.uint8)], ".png")
    (root / "trainA" / "0.pgm").write_bytes(b"P5 32 32 600\n" + ramp(90).astype(">u2").tobytes())
    (remark,) = said(root, caplog, "--input-channels", "1", "--output-channels", "1")
    assert remark.startswith("A: 10-bit, largest value 90 of 600: 39 of 256 levels are left")
    assert "see 15 % of the range" in remark


def test_label_maps(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write(tmp_path, [ramp(5, np.uint8)], [ramp(255, np.uint8)], ".png")
    (remark,) = said(root, caplog, "--input-channels", "1", "--output-channels", "1")
    assert remark.startswith("A: grey levels 0 to 5: a label map?")
    assert remark.endswith("--classes-a 6 shows them each class for itself")
    caplog.clear()
    assert said(root, caplog, "--classes-a", "6", "--output-channels", "1") == []


def test_nothing_is_said_of_ordinary_pictures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert said(write(tmp_path, [picture], [picture], ".png"), caplog) == []


def test_frames_beyond_the_first_and_images_in_subfolders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from PIL import Image  # noqa: PLC0415

    picture = np.full((16, 16, 3), 200, np.uint8)
    root = write(tmp_path, [picture], [picture], ".png")
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green")]
    frames[0].save(root / "trainB" / "1.gif", save_all=True, append_images=frames[1:])
    tandem.write_image(root / "trainA" / "1.png", picture)
    tandem.write_image(root / "trainA" / "more" / "deep" / "2.png", picture)
    (root / "trainA" / "more" / "notes.txt").write_text("x")
    frames, below = said(root, caplog)
    assert frames.startswith("B: 1 file with up to 3 pages or frames, of which the first is read")
    assert "trainA: 1 image in subfolders (more) are not read" in below


def test_black_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    black = np.zeros((16, 16, 3), np.uint8)
    (remark,) = said(write(tmp_path, [black + np.uint8(255)], [black], ".png"), caplog)
    assert remark == "B: every image is black"
