"""What --val-split holds out: the rule of ``tandem data split``, nearly equal pictures together, nothing moves."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from packing import facts_of, opened
from PIL import Image

import tandem.data.hold_out
from tandem.config.data import DataConfig, Mask
from tandem.config.run import RunConfig
from tandem.data.by_content import SplitShares
from tandem.data.discover import find_splits
from tandem.data.hold_out import hold_out
from tandem.data.mask_files import with_masks
from tandem.data.prepare.splitting import plan_split
from tandem.data.shards.pack import pack
from tandem.data.splits import Split
from tandem.data.unpaired import find_unpaired
from tandem.errors import ConfigError, DataError
from tandem.inference.jobs import Trained


def picture(path: Path, seed: int) -> None:
    """Of blobs, which stay nearly the same as a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (4, 8, 3), dtype=np.uint8)
    Image.fromarray(small).resize((64, 32), Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for seed in range(40):
        picture(root / f"{seed}.png", seed)
    for seed in (3, 17):
        Image.open(root / f"{seed}.png").save(root / f"{seed}_again.jpg", quality=95)
    return root


def names(splits: Mapping[str, Split]) -> dict[str, set[str]]:
    return {name: {item.name for item in split.inputs("AtoB")} for name, split in splits.items()}


def test_it_is_the_rule_of_data_split(data: Path) -> None:
    found = find_splits(data)
    divided = names(hold_out(found, 0.3))
    tasks, together = plan_split(found, SplitShares(val_split=0.3, test_split=0))
    assert together == 4
    expected: dict[str, set[str]] = {"train": set(), "val": set()}
    for task in tasks:
        expected[task.targets[0].split("/")[0]].add(task.key.removeprefix("ab/"))
    assert divided == expected
    assert 4 <= len(divided["val"]) <= 20
    assert list(hold_out(found, 0.3)) == ["train", "val"]


def test_nearly_equal_pictures_stay_together(data: Path, tmp_path: Path) -> None:
    """Whatever the share is; by the hashes of their files they would be parted at some of these."""
    for percent in range(5, 100, 5):
        divided = names(hold_out(find_splits(data), percent / 100, cache=tmp_path))
        for one in ("3", "17"):
            assert any({one, f"{one}_again"} <= side for side in divided.values()), percent


def test_other_images_move_none(data: Path, tmp_path: Path) -> None:
    before = names(hold_out(find_splits(data), 0.3))
    for path in data.iterdir():
        Image.open(path).save(tmp_path / f"{path.stem}.png") if path.suffix == ".png" else None
    picture(tmp_path / "new.png", 99)
    (tmp_path / "5.png").rename(tmp_path / "renamed.png")
    after = names(hold_out(find_splits(tmp_path), 0.3))
    gone = {"3", "17", "3_again", "17_again", "5"}  # of a group of their own now, or with another name
    assert after["val"] - {"new", "renamed", "3", "17"} == before["val"] - gone
    assert ("renamed" in after["val"]) == ("5" in before["val"])


@pytest.mark.parametrize("number", [1, 7, 41])
def test_a_number(data: Path, number: int) -> None:
    divided = hold_out(find_splits(data), number)
    assert number - 1 <= len(divided["val"]) <= number  # two that belong together may not fit
    assert len(divided["val"]) + len(divided["train"]) == 42
    assert divided["val"].describe() == (
        f"val: {len(divided['val'])} pair{'s' * (number > 1)}, side by side (A left | B right) in {data} "
        f"(held out of train by --val-split {number})"
    )
    assert f"without {len(divided['val'])} pair" in divided["train"].describe()
    assert not divided["val"].is_flat


def test_two_domains_are_divided_by_themselves(tmp_path: Path) -> None:
    for seed in range(12):
        picture(tmp_path / "trainA" / f"{seed}.png", seed)
        picture(tmp_path / "trainB" / f"{seed + 100}.png", seed + 100)
    picture(tmp_path / "testA" / "x.png", 50)
    picture(tmp_path / "testB" / "x.png", 51)
    divided = hold_out(find_unpaired(tmp_path), 2)
    assert list(divided) == ["train", "val", "test"]
    for side in ("a", "b"):
        train, val = (divided[name].sequences()[side] for name in ("train", "val"))
        assert (len(train), len(val)) == (10, 2)
        assert not {item.name for item in train} & {item.name for item in val}


def test_shards_give_what_their_folder_gives(data: Path, tmp_path: Path) -> None:
    folders = find_splits(data)
    pack(folders, facts_of(folders), tmp_path / "packed", shard_bytes=20_000)
    assert names(hold_out(opened(tmp_path / "packed"), 0.3)) == names(hold_out(folders, 0.3))


def test_what_was_read_is_remembered(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = names(hold_out(find_splits(data), 0.3, cache=tmp_path))
    read = tandem.data.hold_out.deciding_hashes

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the images are read again")

    monkeypatch.setattr(tandem.data.hold_out, "deciding_hashes", never)
    assert names(hold_out(find_splits(data), 0.3, cache=tmp_path)) == before
    assert names(hold_out(find_splits(data), 5, cache=tmp_path)) != before  # another share of the same hashes
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:-9])
    with pytest.raises(AssertionError, match="read again"):
        hold_out(find_splits(data), 0.3, cache=tmp_path)
    monkeypatch.setattr(tandem.data.hold_out, "deciding_hashes", read)
    assert names(hold_out(find_splits(data), 0.3, cache=tmp_path)) == before


@pytest.mark.parametrize("trained_with", ["files", "none"])
@pytest.mark.parametrize("asked_with", ["files", "none"])
def test_a_model_knows_it_again_with_and_without_masks(tmp_path: Path, trained_with: Mask, asked_with: Mask) -> None:
    for seed in range(12):
        for folder in ("trainA", "trainB", "trainM"):
            picture(tmp_path / folder / "city" / f"{seed}.png", seed)
    found = find_splits(tmp_path)
    train = hold_out(with_masks(found, trained_with), 0.3)["train"]
    known = {"val_split": 0.3, "num_pairs": len(train), "data_fingerprint": train.fingerprint()}
    asked = with_masks(found, asked_with)
    divided = Trained(known).divided(asked)
    assert names(divided) == names(hold_out(found, 0.3))
    has_masks = {item.mask is not None for split in divided.values() for item in split.inputs("AtoB")}
    assert has_masks == {asked_with == "files"}
    assert Trained(known | {"data_fingerprint": "another"}).divided(asked) == asked


def test_refused(data: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        for seed in range(3):
            picture(tmp_path / "both" / split / f"{seed}.png", seed)
    with pytest.raises(ConfigError, match=r"--val-split 0\.1 has no effect: .*both has a split val of its own"):
        hold_out(find_splits(tmp_path / "both"), 0.1)
    with pytest.raises(DataError, match=r"--val-split 0\.0001 of 42 pairs would hold out 0, .* --val-split 1"):
        hold_out(find_splits(data), 0.0001)
    with pytest.raises(DataError, match="would hold out 42"):
        hold_out(find_splits(data), 42)
    with pytest.raises(ConfigError, match=r"--val-split must be a share below 1 or a whole number, not 1\.5"):
        RunConfig(data=DataConfig(val_split=1.5))
    with pytest.raises(ConfigError, match="--shuffle shards"):
        RunConfig(data=DataConfig(val_split=0.1, shuffle="shards"))
    (data / "damaged.png").write_bytes(b"no image")
    try:
        with pytest.raises(DataError, match=r"damaged\.png"):
            hold_out(find_splits(data), 0.1)
    finally:
        (data / "damaged.png").unlink()
