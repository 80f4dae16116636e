"""Label maps: every kind of file to indices and planes and back, exactly; and what is refused."""

import dataclasses
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tandem
from preprocessing import preprocessing
from tandem.checkpoint.manifest import Manifest, manifest_of_values
from tandem.commands.doctor_data import look_at_data
from tandem.config.classes import LabelClasses, hex_of, read_classes
from tandem.config.data import DataConfig
from tandem.config.run import from_flat
from tandem.config.specifications import UNetSpec
from tandem.data.array_files import encoded
from tandem.data.augment import TrainTransform
from tandem.data.datasets import PairedDataset
from tandem.data.discover import find_splits
from tandem.data.fit import FitRule
from tandem.data.formats.carried import Carried
from tandem.data.images import ImageReadError, read_stored
from tandem.data.label_maps import coloured, from_picture, from_planes, read_labels, to_planes
from tandem.data.levels import Levels, levels_of_classes, levels_of_run
from tandem.data.pixels import resize
from tandem.data.warp import Augmentation
from tandem.errors import BundleError, ConfigError, DataError
from tandem.inference.finish import Finish
from tandem.inference.inputs import fit_image, to_input

COLOURS = [(0, 0, 0), (200, 0, 0), (0, 200, 0), (0, 0, 200), (90, 90, 90)]
NAMES = ["sky", "roof", "tree", "lake", "road"]
SHAPE = (13, 9)


def classes_of(
    number: int = 5, *, values: list[int] | None = None, colours: bool = False, **more: object
) -> LabelClasses:
    entries = [
        {"name": NAMES[index]}
        | ({} if values is None else {"value": values[index]})
        | ({"colour": list(COLOURS[index])} if colours else {})
        for index in range(number)
    ]
    return read_classes(json.dumps({"classes": entries, **more}), "--classes-a")


def numbers(number: int) -> np.ndarray:
    """A class of each pixel, all of them there."""
    found = np.random.default_rng(number).integers(0, number, SHAPE)
    found.ravel()[:number] = range(number)
    return found


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG of 1, 2, 4, 8 or 16 bits, byte by byte."""
    height, width = values.shape
    rows = b""
    for row in values.tolist():
        digits = "".join(format(value, f"0{bits}b") for value in row)
        digits += "0" * (-len(digits) % 8)
        rows += b"\0" + int(digits, 2).to_bytes(len(digits) // 8, "big")
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    packed = [struct.pack(">I", len(x)) + n + x + struct.pack(">I", zlib.crc32(n + x)) for n, x in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def palette_image(labels: np.ndarray) -> Image.Image:
    image = Image.fromarray(labels.astype(np.uint8), "P")
    image.putpalette([part for colour in COLOURS for part in colour])
    return image


def write(path: Path, labels: np.ndarray) -> Path:
    """A file of the kind that its name says."""
    kind, number = path.stem, int(labels.max()) + 1
    colours = np.array(COLOURS, np.uint8)[labels]
    if kind.startswith("grey-"):
        path.write_bytes(grey_png(labels, int(kind.removeprefix("grey-"))))
    elif kind.startswith("palette-"):
        palette_image(labels).save(path, bits=int(kind.removeprefix("palette-")))
    elif kind in ("palette", "gif"):
        palette_image(labels).save(path)
    elif kind == "colours":
        Image.fromarray(colours).save(path)
    elif kind == "colours-16":
        tandem.write_image(path, colours.astype(np.uint16) * 257)
    elif kind == "bits":
        Image.fromarray(labels.astype(bool)).save(path)
    elif kind == "bools":
        np.save(path, labels.astype(bool))
    else:
        tandem.write_image(path, labels.astype(kind))
    assert number <= 5
    return path


KINDS = {
    **{f"grey-{bits}.png": min(2**bits, 5) for bits in (1, 2, 4, 8, 16)},
    **{f"palette-{bits}.png": min(2**bits, 5) for bits in (1, 2, 4, 8)},
    **{"palette.tif": 5, "gif.gif": 5, "palette.bmp": 5, "colours.png": 5, "colours.bmp": 5, "colours.tif": 5},
    **{"colours-16.png": 5, "bits.png": 2, "bits.tif": 2, "bools.npy": 2},
    **{f"{kind}.tif": 5 for kind in ("uint8", "uint16", "int32", "float32")},
    **{f"{kind}.npy": 5 for kind in ("uint8", "int16", "uint32", "float64")},
}


@pytest.mark.parametrize(("name", "number"), KINDS.items())
def test_every_kind_of_file_comes_to_planes_and_back(tmp_path: Path, name: str, number: int) -> None:
    expected = numbers(number)
    stored = read_stored(write(tmp_path / name, expected))
    ways = [classes_of(number), classes_of(number, colours=True)]
    if name.startswith("colours"):
        ways = [classes_of(number, colours=True), classes_of(number, values=list(range(number)), colours=True)]
    elif not name.startswith(("palette", "gif")):
        ways = [classes_of(number), classes_of(number, values=list(range(number)), colours=True)]
    for classes in ways:
        indices = read_labels(classes, stored, name)
        assert (indices.dtype, indices.shape) == (np.uint8, (*SHAPE, 1))
        assert np.array_equal(indices[:, :, 0], expected)
        planes = to_planes(classes, indices)
        assert planes.dtype == np.float32
        oracle = torch.nn.functional.one_hot(torch.from_numpy(expected), number).permute(2, 0, 1).numpy() * 2.0 - 1
        assert np.array_equal(planes, oracle)
        assert np.array_equal(from_planes(classes, planes), indices)
        assert np.array_equal(from_planes(classes, planes * 0.3 - 0.1), indices)


@pytest.mark.parametrize(("suffix", "colours"), [(".png", True), (".png", False), (".tif", True), (".npy", False)])
def test_outputs_are_read_again(tmp_path: Path, suffix: str, colours: bool) -> None:
    classes = classes_of(values=[3, 7, 0, 250, 12], colours=colours)
    levels = levels_of_classes(classes)
    indices = levels.from_floats(np.random.default_rng(0).standard_normal((5, *SHAPE)).astype(np.float32))
    array, carried = Finish(Carried(nodata="0"), np.ones(SHAPE, bool), levels=levels)(indices)
    assert np.array_equal(array, indices)  # a class of the value that says no data is no missing pixel
    path = tmp_path / f"x{suffix}"
    path.write_bytes(encoded(array, suffix, carried))
    assert np.array_equal(read_labels(classes, read_stored(path), "x"), indices)
    if suffix == ".png":
        with Image.open(path) as image:
            assert image.mode == ("P" if colours else "L")
            assert np.array_equal(np.array(image), indices[:, :, 0])
            assert not colours or np.array_equal(np.array(image.convert("RGB")), coloured(classes, indices))


def test_indices_above_a_byte(tmp_path: Path) -> None:
    classes = read_classes("300", "--classes-b")
    expected = np.arange(300).reshape(20, 15)
    tandem.write_image(tmp_path / "x.png", expected.astype(np.uint16))
    indices = read_labels(classes, read_stored(tmp_path / "x.png"), "x")
    assert indices.dtype == np.uint16
    levels = levels_of_classes(classes)
    assert levels.palette is None
    again = levels.from_floats(levels.to_floats(indices))
    (tmp_path / "y.png").write_bytes(encoded(again, ".png"))
    assert np.array_equal(tandem.read_image(tmp_path / "y.png")[:, :, 0], expected)
    assert len(np.unique(levels.picture(indices).reshape(-1, 3), axis=0)) == 300  # every class has a colour of its own


def test_several_values_and_pixels_without_a_class() -> None:
    classes = read_classes(
        '{"classes": [{"name": "a", "values": [4, 5]}, {"name": "b", "value": 0}], "ignore": [255, 9]}', "--classes-a"
    )
    stored = dataclasses.replace(read_stored(grey_png(np.array([[4, 5, 0, 9, 255]]), 8)))
    indices = read_labels(classes, stored, "x")
    assert indices[0, :, 0].tolist() == [4, 4, 0, 255, 255]
    planes = to_planes(classes, indices)
    assert planes[:, 0].tolist() == [[1, 1, -1, -1, -1], [-1, -1, 1, -1, -1]]
    assert np.array_equal(from_planes(classes, planes), indices)
    others = read_classes('{"classes": ["a", "b"], "ignore": "other"}', "--classes-a")
    assert read_labels(others, stored, "x")[0, :, 0].tolist() == [255, 255, 0, 255, 255]


def test_side_by_side_palettes_keep_their_indices(tmp_path: Path) -> None:
    labels = np.concatenate([numbers(5), numbers(4)[:, ::-1]], axis=1)
    palette_image(labels).save(tmp_path / "1.png")
    (pair,) = find_splits(tmp_path, layout="side_by_side")["train"].pairs
    one = levels_of_classes(classes_of())
    a, b = pair.read("AtoB", channels_a=5, channels_b=5, levels_a=one, levels_b=one)
    assert np.array_equal(np.concatenate([a, b], axis=1)[:, :, 0], labels)


@pytest.mark.parametrize(
    ("classes", "name", "message"),
    [
        (classes_of(3), "uint8.tif", r"values 3 and 4, .* in \d+ of 117 pixels, the first in row 0, column 3"),
        (
            classes_of(3, colours=True),
            "colours.png",
            "colours #0000c8 and #5a5a5a, .*the farthest is 200 from.*'tolerance: 200'",
        ),
        (classes_of(5), "colours.png", "has 3 channels .*and the classes have no colours"),
        (
            classes_of(4, values=[0, 1, 2, 3], colours=True),
            "palette-8.png",
            "value 4, .*leave the values of the classes",
        ),
    ],
)
def test_what_is_no_class_is_refused(tmp_path: Path, classes: LabelClasses, name: str, message: str) -> None:
    with pytest.raises(ImageReadError, match=message) as raised:
        read_labels(classes, read_stored(write(tmp_path / name, numbers(5))), "the file")
    assert raised.value.file == "the file"


def test_colours_that_jpeg_has_blurred(tmp_path: Path) -> None:
    expected = np.kron(numbers(5), np.ones((16, 16), np.int64))
    Image.fromarray(np.array(COLOURS, np.uint8)[expected]).save(tmp_path / "x.jpg", quality=90)
    stored = read_stored(tmp_path / "x.jpg")
    with pytest.raises(ImageReadError, match="write 'tolerance: "):
        read_labels(classes_of(colours=True), stored, "x")
    found = read_labels(classes_of(colours=True, tolerance=200), stored, "x")[:, :, 0]
    assert (found == expected).mean() > 0.98


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "from 1 to 1000 classes, not 0"),
        ("nowhere.yaml", r"cannot be read \(No such file"),
        ('["a", "a"]', "two classes are called 'a'"),
        ('[{"name": "a", "value": 1}, {"name": "b", "value": 1}]', "the value 1 stands for two classes"),
        ('[{"name": "a", "value": 65536}]', "values must be from 0 to 65535"),
        ('[{"name": "a", "colour": "red"}]', "'red' is no colour"),
        ('[{"name": "a", "color": [1, 2, 3]}, "b"]', "'b' has no colour, and others have one"),
        ('[{"name": "a", "colour": [1, 2, 3]}, {"name": "b", "colour": "#010203"}]', "#010203 stands for two classes"),
        ('{"classes": ["a"], "tolerance": 60}', "go with classes that have colours"),
        ('{"classes": ["a"], "ingore": 3}', "unknown entry 'ingore'"),
        ('[{"name": "a", "value": true}]', "has the value True"),
        ("{]", "is no JSON"),
    ],
)
def test_impossible_classes(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read_classes(text, "--classes-b")
    assert raised.value.option == "--classes-b"


def test_a_run_keeps_the_classes_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "classes.yaml"
    file.write_text('- {name: sky, colour: "#0000ff"}\n- {name: roof, colour: [255, 0, 0]}\n')
    config = from_flat({"method": "pix2pix", "direction": "BtoA", "classes_a": str(file), "lambda_features": 0.0})
    file.unlink()
    assert (config.data.input_channels, config.data.output_channels) == (3, 2)
    _, levels = levels_of_run(config.data)
    assert levels.classes is not None
    assert [hex_of(one.colour or ()) for one in levels.classes.classes] == ["#0000ff", "#ff0000"]
    assert dataclasses.replace(config.data, size=128).classes_a == config.data.classes_a
    file.write_text("a: &a [1]\nclasses: [*a, *a]\n")
    with pytest.raises(ConfigError, match="stands for more than one value"):
        DataConfig(classes_a=str(file))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes_a": 4, "range_a": "0,3"}, "--range-a does not go with --classes-a"),
        ({"classes_a": 4, "augment_colour": 0.1}, "changes the input, which is a label map"),
        ({"classes_b": 4, "augment_colour": 0.1, "augment_colour_of": "output"}, "give --augment-colour-of input"),
        ({"classes_a": 4, "decoded_place": "device"}, "--decoded-place device holds pictures alone"),
        ({"classes_a": 4, "input_channels": 1}, "--input-channels 1 does not go with the 4 classes"),
    ],
)
def test_what_does_not_go_with_classes(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_flat({"method": "pix2pix", **options})


def dataset(root: Path, **transform: object) -> PairedDataset:
    for split, side in (("train", "A"), ("train", "B")):
        (root / f"{split}{side}").mkdir()
        blocks = 4 * numbers(2) if transform["flip"] else numbers(5)
        tandem.write_image(root / f"{split}{side}" / "1.png", np.kron(blocks, np.ones((4, 4))).astype(np.uint8))
    levels: tuple[Levels, Levels] = (levels_of_classes(classes_of()), levels_of_classes(classes_of(5)))
    return PairedDataset(
        find_splits(root)["train"],
        transform=TrainTransform((20, 20), **transform),  # type: ignore[arg-type]
        direction="AtoB",
        channels_a=5,
        channels_b=5,
        seed=0,
        levels=levels,
        augmentation=Augmentation(turns=True, rotate=30, scale=0.5, elastic=3) if transform["flip"] else None,
    )


def test_the_nearest_pixel_is_taken(tmp_path: Path) -> None:
    data = dataset(tmp_path, flip=False, load_size=(20, 20))
    file = tandem.read_image(tmp_path / "trainA" / "1.png")[:, :, 0]
    rows, columns = (((np.arange(20) + 0.5) * side / 20).astype(int) for side in file.shape)
    oracle = file[rows][:, columns]
    sample = data[0]
    assert np.array_equal(sample["a"].numpy().argmax(axis=0), oracle)
    rule = FitRule(size=(20, 20), preprocess="resize_and_crop", load_size=(20, 20))
    assert np.array_equal(data.preview_at(0, rule=rule)["b"].numpy().argmax(axis=0), oracle)
    levels = levels_of_classes(classes_of())
    plan = rule.plan(file.shape[0], file.shape[1], "auto")
    fitted = fit_image(levels.to_floats(file[:, :, None]), plan, rounded=(False, False), methods=("nearest", "nearest"))
    assert np.array_equal(fitted.values.argmax(axis=0), oracle)
    back = resize(oracle.astype(np.uint8)[:, :, None], file.shape[0], file.shape[1], method="nearest")[:, :, 0]
    assert np.array_equal(fitted.restore(fitted.values[None])[0].argmax(axis=0), back)


def test_augmentation_mixes_no_classes(tmp_path: Path) -> None:
    data = dataset(tmp_path, flip=True, load_size=(24, 24))
    for position in range(6):
        sample = data[position]
        for planes in (sample["a"], sample["b"]):
            assert torch.equal(planes.sum(dim=0), torch.full((20, 20), -3.0))  # one class each, of five
            assert set(planes.unique().tolist()) == {-1.0, 1.0}
            assert set(planes.argmax(dim=0).unique().tolist()) == {0, 4}  # a mean of them would be another class
        assert torch.equal(sample["a"], sample["b"])


def test_kept_decoded_a_pixel_is_a_byte(tmp_path: Path) -> None:
    data = dataset(tmp_path, flip=False, load_size=(20, 20))
    assert [planes.nbytes for planes in data.loaded(0)] == [400, 400]


def test_what_python_may_give(tmp_path: Path) -> None:
    classes = classes_of(colours=True)
    levels, expected = levels_of_classes(classes), numbers(5)
    oracle = levels.to_floats(expected[:, :, None])
    colours = coloured(classes, expected[:, :, None])
    write(tmp_path / "palette.png", expected)
    given = [
        *(expected.astype(dtype) for dtype in (np.uint8, np.int64)),
        *(expected[:, :, None], colours, Image.fromarray(colours), palette_image(expected)),
        *(torch.from_numpy(expected)[None], tmp_path / "palette.png", (tmp_path / "palette.png").read_bytes()),
        *(np.moveaxis(oracle, 0, 2), torch.from_numpy(oracle)),
    ]
    for image in given:
        assert np.array_equal(to_input(image, channels=5, levels=levels), oracle)
    with pytest.raises(DataError, match="the values 5 and 99, which are no class"):
        to_input(np.array([[0, 5], [99, 1]]), channels=5, levels=levels)
    with pytest.raises(DataError, match="the value -1, which is no class"):
        to_input(np.array([[0, -1]]), channels=5, levels=levels)
    plain = read_classes("5", "--classes-a")
    assert np.array_equal(from_picture(plain, coloured(plain, expected[:, :, None]))[:, :, 0], expected)


def manifest(levels: Levels, channels: int) -> Manifest:
    spec = UNetSpec(in_channels=channels, out_channels=3, latent_dim=0, filters=4, depth=3)
    return Manifest(
        tandem_version="0",
        method="pix2pix",
        networks={"generator": spec},
        preprocessing=preprocessing((32, 32), (channels, 3), input_levels=levels),
    )


def test_a_bundle_says_the_classes() -> None:
    classes = classes_of(values=[3, 7, 0, 250, 12], colours=True, ignore=[255, "#010101", "other"], tolerance=60)
    levels = levels_of_classes(classes)
    values = json.loads(manifest(levels, 5).to_json())
    assert manifest_of_values(values, "model.json").preprocessing.input_levels == levels
    for change, message in (
        ({"classes": []}, "there are 0 classes"),
        ({"tolerance": -1.0}, "tolerance must be from 0"),
        ({"ignored_values": [10**9]}, "values must be from 0"),
        ({"classes": values["preprocessing"]["input_levels"]["classes"]["classes"][:4]}, "4 classes do not go with 5"),
        ({"surprise": 1}, "unknown entries: surprise"),
    ):
        damaged = json.loads(json.dumps(values))
        damaged["preprocessing"]["input_levels"]["classes"] |= change
        with pytest.raises(BundleError, match=message):
            manifest_of_values(damaged, "model.json")
    plain = json.loads(manifest(Levels("uint16"), 3).to_json())["preprocessing"]["input_levels"]
    assert "classes" not in plain


def test_the_doctor_asks_whether_these_are_label_maps(tmp_path: Path) -> None:
    dataset(tmp_path, flip=False)
    found = {}
    for given in (None, 5, 4):
        config = from_flat({"method": "pix2pix"} | ({} if given is None else {"classes_a": given}))
        findings, *_ = look_at_data(str(tmp_path), None, config, cache=tmp_path / "cache", measure=False)
        found[given] = {one.name: one for one in findings}
    assert found[None]["label-maps"].text.startswith("The files of B hold grey levels 0 to 4 alone")
    assert "label-maps" in found[5]  # B's
    assert "unreadable" not in found[5]
    assert "holds the value 4, which is no class" in found[4]["unreadable"].items[0]


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize("dtype", ["int64", "uint64", ">i8"])
def test_integers_of_64_bits_as_argmax_gives_them(tmp_path: Path, name: str, dtype: str) -> None:
    expected = numbers(5)
    (np.savez if name == "x.npz" else np.save)(tmp_path / name, expected.astype(dtype))
    assert np.array_equal(read_labels(classes_of(), read_stored(tmp_path / name), name)[:, :, 0], expected)
    assert tandem.read_image(tmp_path / name).dtype == (np.uint32 if dtype == "uint64" else np.int32)
