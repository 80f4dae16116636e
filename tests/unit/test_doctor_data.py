"""The doctor finds each fault in a dataset that has it, and none in the same dataset without it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import ndimage

from tandem.cli import main
from tandem.data.discover import find_splits
from tandem.data.examine.alignment import align, outline
from tandem.data.examine.finding import Finding
from tandem.data.examine.images import examine
from tandem.data.examine.verdict import findings_of
from tandem.data.prepare.rules import edges

SIDE = 96


def scene(seed: int) -> np.ndarray:
    """Coloured discs and bars on a slope, unlike when flipped: ``(SIDE, SIDE, 3)``, uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    image = np.stack([rows + columns] * 3, 2) * 0.4 + rng.uniform(0, 120, 3)
    for _ in range(6):
        y, x, radius = rng.uniform(10, SIDE - 10), rng.uniform(10, SIDE - 10), rng.uniform(5, 18)
        shape = np.hypot(rows - y, columns - x) < radius
        if rng.random() < 0.5:
            shape = (abs(rows - y) < radius) & (abs(columns - x) < radius / 3)
        image[shape] = rng.uniform(0, 255, 3)
    image = ndimage.gaussian_filter(image, (0.7, 0.7, 0)) + rng.normal(0, 2, image.shape)
    return image.clip(0, 255).astype(np.uint8)


def write(root: Path, split: str, name: str, a: np.ndarray, b: np.ndarray) -> None:
    for side, image in (("A", a), ("B", b)):
        folder = root / f"{split}{side}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze()).save(folder / f"{name}.png")


@pytest.fixture(scope="module")
def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    photos = [scene(seed) for seed in range(14)]
    return [(edges(photo, sigma=1.0, threshold=0.04), photo) for photo in photos]


@pytest.fixture
def dataset(pairs: list[tuple[np.ndarray, np.ndarray]], tmp_path: Path) -> Path:
    for index, (a, b) in enumerate(pairs):
        write(tmp_path / "data", "train" if index < 10 else "val", str(index), a, b)
    return tmp_path / "data"


def found_in(root: Path) -> dict[str, Finding]:
    return {one.name: one for one in findings_of(examine(list(find_splits(root).values())))}


def test_a_sound_dataset_has_no_findings(dataset: Path) -> None:
    assert found_in(dataset) == {}


Change = Callable[[Path, list[tuple[np.ndarray, np.ndarray]]], None]


def shift(root: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    a, b = pairs[3]
    write(root, "train", "3", a, np.roll(b, (6, -9), (0, 1)))


def flip(root: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    a, b = pairs[3]
    write(root, "train", "3", a, b[:, ::-1])


def turn_over(root: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    a, b = pairs[3]
    write(root, "train", "3", a[::-1], b)


def exchange(root: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    a, b = pairs[3]
    write(root, "train", "3", b, np.repeat(a, 3, 2))


def blank(root: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    write(root, "train", "3", pairs[3][0], np.full((SIDE, SIDE, 3), 200, np.uint8))


def cut(root: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    a, b = pairs[3]
    write(root, "train", "3", a, b[:-2])


def repeat(root: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    write(root, "train", "3", *pairs[4])


def leak(root: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """A held-out photo that has been through JPEG and a slight resize."""
    small = Image.fromarray(pairs[12][1]).resize((90, 90), Image.Resampling.BICUBIC).resize((SIDE, SIDE))
    small.filter(ImageFilter.GaussianBlur(0.5)).save(root / "again.jpg", quality=70)
    again = np.array(Image.open(root / "again.jpg"))
    (root / "again.jpg").unlink()
    write(root, "train", "3", edges(again, sigma=1.0, threshold=0.04), again)


def damage(root: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    path = root / "trainB" / "3.png"
    path.write_bytes(path.read_bytes()[:300])


def mix(root: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    a, b = pairs[3]
    write(root, "train", "3", a, np.dstack([b, np.full((SIDE, SIDE, 1), 255, np.uint8)]))


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (shift, "shifted-pairs", "train/3: B lies about -9 px to the right, +6 px down"),
        (flip, "flipped-pairs", "train/3: left and right are exchanged"),
        (turn_over, "flipped-pairs", "train/3: top and bottom are exchanged"),
        (exchange, "exchanged-pairs", "train/3"),
        (blank, "constant-images", "train/3 (B): 200 everywhere"),
        (cut, "mismatched-sizes", "train/3: A is 96 x 96, B 96 x 94"),
        (repeat, "duplicates", "train/3 (B) = train/4 (B)"),
        (leak, "leaks", "train/3 (B) ~ val/12 (B)"),
        (damage, "unreadable", "trainB/3.png: damaged or truncated"),
        (mix, "mixed-kinds", "1 x 8-bit PNG, 4 channels"),
    ],
)
def test_each_fault_is_found_where_it_is(
    change: Change, name: str, words: str, dataset: Path, pairs: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    change(dataset, pairs)
    found = found_in(dataset)
    assert name in found
    assert any(words in item for item in found[name].items), found[name].items
    if name not in {"exchanged-pairs", "mixed-kinds", "duplicates", "leaks"}:
        assert len(found[name].items) == 1
    others = found.keys() - {name}
    assert others <= ({"mixed-kinds"} if change is exchange else set()), {one: found[one].items for one in others}


@pytest.mark.parametrize(("down", "right"), [(0, 0), (8, 0), (0, -12), (-10, 6)])
def test_the_shift_is_the_one_that_was_made(down: int, right: int) -> None:
    whole = scene(1)
    moved = np.roll(whole, (down, right), (0, 1))
    found = align(outline(whole), outline(moved), SIDE, SIDE)
    assert found is not None
    assert (found.down, found.right) == pytest.approx((down, right), abs=SIDE / 64)


def test_the_command(
    dataset: Path, pairs: list[tuple[np.ndarray, np.ndarray]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [str(dataset), "--method", "pix2pix", "--size", "64", "--json"]
    assert main(["doctor", *options]) == 0
    assert json.loads(capsys.readouterr().out)["splits"] == {"train": 10, "val": 4}
    flip(dataset, pairs)
    assert main(["doctor", *options, "--out", str(tmp_path / "page")]) == 3
    names = [one["name"] for one in json.loads(capsys.readouterr().out)["findings"]]
    assert names == ["flipped-pairs"]
    page = (tmp_path / "page" / "index.html").read_text()
    assert "one image looks flipped" in page
    assert "train/3: left and right are exchanged" in page


def test_sizes_that_training_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(3):
        wide = np.random.default_rng(index).integers(0, 256, (40, 120, 3), dtype=np.uint8)
        write(tmp_path / "data", "train", str(index), wide, wide)

    def findings(*options: str) -> dict[str, list[str]]:
        main(["doctor", str(tmp_path / "data"), "--method", "bicyclegan", "--json", *options])
        return {one["name"]: one["items"] for one in json.loads(capsys.readouterr().out)["findings"]}

    found = findings("--size", "64", "--preprocess", "crop", "--size", "32")
    assert found["padding"] == ["6 x 120 x 40 px become 128 x 64 px"]
    found = findings("--size", "64")
    assert found["stretched"] == ["6 x 120 x 40 px become 3 times narrower"]
    assert "enlarged" not in found
    found = findings("--size", "256x768")
    assert found["enlarged"] == ["6 x 120 x 40 px are enlarged to 858 x 286 px"]
    assert "stretched" not in found


@pytest.mark.slow
def test_memory_and_time_of_a_run(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--method", "bicyclegan", "--size", "64", "--generator-filters", "4", "--steps", "30", "--device", "cpu"]
    main(["doctor", str(dataset), "--json", "--measure", *options])
    cost = json.loads(capsys.readouterr().out)["training"]
    assert cost["steps"] == 30
    assert cost["run_seconds"] == pytest.approx(30 * cost["step_seconds"])
    assert 50 < cost["peak_memory_mb"] < 5000
