"""Zarr images beside what the library itself reads, and folders that a stranger has made."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs

import tandem
from tandem.data.check import check_data
from tandem.data.check_remarks import in_subfolders
from tandem.data.discover import find_splits
from tandem.data.formats.ome import read_ome
from tandem.data.image_file import DiskFile
from tandem.data.images import ImageReadError, read_size
from tandem.data.listing import list_images
from tandem.data.metadata import read_carried
from tandem.errors import MissingExtraError
from tandem.inference.jobs import find_jobs

AXES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def write(
    path: Path,
    values: np.ndarray,
    axes: str,
    *,
    version: int = 2,
    depth: int = 7,
    **options: Any,
) -> Path:
    """An OME-Zarr of version 0.4 (Zarr 2) or 0.5 (Zarr 3), two levels, half a micrometre a pixel."""
    group = zarr.open_group(path, mode="w", zarr_format=version)  # type: ignore[arg-type]
    for level, array in enumerate((values, values[..., ::2, ::2])):
        most = tuple(min(pair) for pair in zip((1, 3, depth, 20, 20)[-values.ndim :], array.shape, strict=True))
        made = group.create_array(str(level), shape=array.shape, chunks=most, dtype=array.dtype, **options)
        made[:] = array
    named: list[dict[str, str]] = [
        {"name": axis, "type": AXES[axis]} | ({"unit": "micrometer"} if axis in "zyx" else {}) for axis in axes
    ]
    steps = [{"type": "scale", "scale": [0.5 * 2**level if axis in "yx" else 1.0 for axis in axes]} for level in (0, 1)]
    datasets = [{"path": str(level), "coordinateTransformations": [step]} for level, step in enumerate(steps)]
    image: dict[str, Any] = {"multiscales": [{"axes": named, "datasets": datasets}]}
    if "c" in axes:
        channels = [{"label": f"stain {index}", "color": "00FF00"} for index in range(values.shape[axes.index("c")])]
        image["omero"] = {"channels": channels}
    group.attrs.update(image if version == 2 else {"ome": image | {"version": "0.5"}})
    return path


def noise(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [
        ("yx", (31, 42), "uint8"),
        ("cyx", (3, 31, 42), "uint16"),
        ("zyx", (4, 31, 42), "int16"),
        ("tczyx", (2, 3, 2, 31, 42), "float32"),
        ("yxc", (31, 42, 3), "uint8"),
    ],
)
def test_images_by_their_axes(tmp_path: Path, version: int, axes: str, shape: tuple[int, ...], dtype: str) -> None:
    values = noise(*shape, dtype=dtype)
    write(tmp_path / "cells.ome.zarr", values, axes, version=version)
    problems: list[str] = []
    images = list_images(tmp_path, problems).images
    along = {axis: (shape[axes.index(axis)] if axis in axes else 1) for axis in AXES}
    number = along["t"] * along["z"]
    names = ["cells"] if number == 1 else [f"cells-{index:03d}" for index in range(number)]
    assert (problems, list(images)) == ([], names)
    full = np.moveaxis(values.reshape([along[axis] for axis in axes] + [1] * (5 - len(axes))), 0, 0)
    order = axes + "".join(axis for axis in AXES if axis not in axes)
    expected = np.transpose(full, [order.index(axis) for axis in "tzyxc"]).reshape(number, 31, 42, along["c"])
    for index, path in enumerate(images.values()):
        found = tandem.read_image(path)
        assert found.dtype == np.dtype(dtype)
        assert np.array_equal(found, expected[index])
        assert read_size(path) == (42, 31)
        assert np.array_equal(np.load(DiskFile(path).open()), found)


@pytest.mark.parametrize("codec", [None, "zlib", "gzip", "zstd", "lz4", "blosc"])
@pytest.mark.parametrize("dtype", ["<u2", ">i4", "|u1", "<f8"])
def test_codecs_of_zarr_2(tmp_path: Path, codec: str | None, dtype: str) -> None:
    values = noise(31, 42, dtype=dtype)
    compressor = None if codec is None else numcodecs.get_codec({"id": codec})
    write(tmp_path / "x.zarr", values, "yx", compressors=compressor)
    assert np.array_equal(tandem.read_image(tmp_path / "x.zarr" / "x.npy")[:, :, 0], values)


@pytest.mark.parametrize("codec", ["zstd", "gzip", "blosc", None])
@pytest.mark.parametrize("checksum", [False, True])
def test_codecs_of_zarr_3(tmp_path: Path, codec: str | None, checksum: bool) -> None:
    values = noise(31, 42)
    known: dict[str | None, Any] = {
        "zstd": zarr.codecs.ZstdCodec(level=3),
        "gzip": zarr.codecs.GzipCodec(),
        "blosc": zarr.codecs.BloscCodec(),
    }
    codecs = [known[codec]] if codec else []
    write(
        tmp_path / "x.zarr",
        values,
        "yx",
        version=3,
        compressors=(*codecs, *([zarr.codecs.Crc32cCodec()] if checksum else [])),
        filters=[zarr.codecs.TransposeCodec(order=(1, 0))],
    )
    assert np.array_equal(tandem.read_image(tmp_path / "x.zarr" / "x.npy")[:, :, 0], values)


def test_plain_arrays_and_chunks_that_are_not_there(tmp_path: Path) -> None:
    values = noise(31, 42)
    zarr.create_array(tmp_path / "plain.zarr", data=values, chunks=(10, 10), zarr_format=3)
    assert np.array_equal(tandem.read_image(tmp_path / "plain.zarr" / "plain.npy")[:, :, 0], values)
    shutil.rmtree(tmp_path / "plain.zarr" / "c" / "0")
    values[:10] = 0
    assert np.array_equal(tandem.read_image(tmp_path / "plain.zarr" / "plain.npy")[:, :, 0], values)
    zarr.create_array(tmp_path / "named.zarr", data=noise(3, 9, 8), dimension_names=("c", "y", "x"))
    assert tandem.read_image(tmp_path / "named.zarr" / "named.npy").shape == (9, 8, 3)
    zarr.create_array(tmp_path / "odd.zarr", data=noise(3, 9, 8))
    with pytest.raises(ImageReadError, match="axes without names of 3 x 9 x 8 samples: read are y and x"):
        tandem.read_image(tmp_path / "odd.zarr" / "odd.npy")


def test_pairs_and_what_they_depend_on(tmp_path: Path) -> None:
    for index in range(2):
        for side in "AB":
            write(
                tmp_path / f"train{side}" / "day" / f"{index}.ome.zarr",
                noise(2, 31, 42, dtype="uint8") + index,
                "zyx",
                depth=1,
            )
    splits = find_splits(tmp_path)
    train = splits["train"]
    assert f"A in {tmp_path / 'trainA'} | B in {tmp_path / 'trainB'}, in 1 subfolder" in train.describe()
    assert list(in_subfolders([train])) == []
    assert [pair.name for pair in train.pairs] == [f"day/{index}-{z:03d}" for index in range(2) for z in range(2)]
    report = check_data([train], channels_a=1, channels_b=1)
    assert (report.num_pairs, report.min_width, report.max_height) == (4, 42, 31)
    (file, _), (other, _) = (pair.files for pair in train.pairs[:2])
    before, same = file.stamp(), other.stamp()
    assert file.size == before[0] > 100
    array = zarr.open_array(tmp_path / "trainA" / "day" / "0.ome.zarr" / "0", mode="r+")
    array[0, :5, :5] = 7
    assert file.stamp() != before
    assert other.stamp() == same
    jobs = find_jobs([tmp_path / "trainA" / "day" / "0.ome.zarr"])
    assert [job.name for job in jobs] == ["0-000", "0-001"]
    assert len(find_jobs([tmp_path / "trainA"])) == len(find_jobs([tmp_path / "trainA" / "day"])) == 4


def test_size_of_a_pixel_and_names_come_back(tmp_path: Path) -> None:
    write(tmp_path / "x.ome.zarr", noise(2, 31, 42), "cyx", version=3)
    path = tmp_path / "x.ome.zarr" / "x.npy"
    facts = read_carried(path).microscopy
    assert facts is not None
    assert facts.names == ("stain 0", "stain 1")
    tandem.write_image(tmp_path / "out.tif", tandem.read_image(path), like=path)
    import tifffile  # noqa: PLC0415

    with tifffile.TiffFile(tmp_path / "out.tif") as tif:
        again = read_ome(tif.ome_metadata or "")
    assert again is not None
    assert again == facts
    assert again.sizes["PhysicalSizeX"] == "0.5"
    assert again.sizes["PhysicalSizeYUnit"] == "µm"


def edited(file: str, **changes: Any) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        path = root / file
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def bomb(root: Path) -> None:
    edited("0/.zarray", compressor={"id": "gzip", "level": 1})(root)
    (root / "0" / "0.0").write_bytes(gzip.compress(bytes(10**7)))


def two_members(root: Path) -> None:
    edited("0/.zarray", compressor={"id": "gzip", "level": 1})(root)
    (root / "0" / "0.0").write_bytes(gzip.compress(bytes(800)) + gzip.compress(bytes(10**6)))


def claims(codec: dict[str, object], content: bytes) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        edited("0/.zarray", compressor=codec)(root)
        (root / "0" / "0.0").write_bytes(content)

    return edit


def linked(root: Path) -> None:
    (root.parent / "secret").write_bytes(bytes(800))
    (root / "0" / "0.0").unlink()
    (root / "0" / "0.0").symlink_to(root.parent / "secret")


def linked_level(root: Path) -> None:
    (root / "0").rename(root.parent / "elsewhere")
    (root / "0").symlink_to(root.parent / "elsewhere")


def dataset(path: object) -> Callable[[Path], None]:
    return edited(".zattrs", multiscales=[{"axes": ["y", "x"], "datasets": [{"path": path}]}])


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (bomb, "would unpack to another number of bytes, not 800"),
        (two_members, "would unpack to another number of bytes, not 800"),
        (claims({"id": "zstd", "level": 1}, numcodecs.Zstd().encode(bytes(10**7))), "would unpack to 10000000 bytes"),
        (claims({"id": "blosc"}, numcodecs.Blosc().encode(bytes(10**7))), "would unpack to 10000000 bytes, not 800"),
        (claims({"id": "lz4"}, b"\xff\xff\xff\x7f" + bytes(20)), "would unpack to 2147483647 bytes, not 800"),
        (claims({"id": "zstd"}, b"nonsense"), "would unpack to another number of bytes"),
        (claims({"id": "bz2"}, b""), "is packed by bz2; read are blosc, zstd, lz4, gzip, zlib"),
        (claims({"id": "pickle"}, b""), "is packed by pickle"),
        (claims({"id": "zlib"}, b"nonsense"), "damaged"),
        (edited("0/.zarray", filters=[{"id": "pickle"}]), "has filters"),
        (edited("0/.zarray", dtype="|O"), r"samples of the type \|O"),
        (edited("0/.zarray", dtype="<M8[s]"), "samples of the type"),
        (edited("0/.zarray", shape=[10**6, 10**6]), "too large"),
        (edited("0/.zarray", chunks=[20000, 20000]), "has chunks of 800000000 bytes"),
        (edited("0/.zarray", shape=[9000, 9000], chunks=[1, 1]), "lies in 81000000 chunks"),
        (edited("0/.zarray", shape=[-1, 5]), r"damaged \(shape"),
        (edited("0/.zarray", dimension_separator="/../"), "its chunks are named with"),
        (linked, r"holds a link \(0.0\)"),
        (linked_level, "which is no folder in it"),
        (dataset("../x.ome.zarr/0"), "which is no folder in it"),
        (dataset("/etc"), "which is no folder in it"),
        (dataset(7), "a dataset has no path"),
        (edited(".zattrs", multiscales=[]), "multiscales is no list, or empty"),
        (lambda root: (root / ".zattrs").unlink(), "a Zarr group without an OME-Zarr image"),
        (lambda root: (root / "0" / ".zarray").write_text("{"), "damaged"),
        (lambda root: (root / "0" / ".zarray").unlink(), "holds neither zarr.json nor"),
        (lambda root: (root / "0" / "0.0").write_bytes(b""), "would unpack to another number of bytes"),
    ],
)
def test_folders_of_strangers(tmp_path: Path, edit: Callable[[Path], object], reason: str) -> None:
    root = write(tmp_path / "x.ome.zarr", noise(31, 42), "yx")
    assert tandem.read_image(root / "x.npy").shape == (31, 42, 1)
    edit(root)
    with pytest.raises(ImageReadError, match=reason) as caught:
        tandem.read_image(root / "x.npy")
    assert "x.ome.zarr" in str(caught.value)
    problems: list[str] = []
    list_images(tmp_path, problems)
    assert not problems or "x.ome.zarr" in problems[0]


def test_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys  # noqa: PLC0415

    write(tmp_path / "x.ome.zarr", noise(31, 42), "yx")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tandem-gan\[zarr\]'"):
        list_images(tmp_path, [])
