"""Every reader of what others have made, with genuine files to begin from."""

import functools
import gzip
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
from PIL import Image
from pyarrow import parquet

from tandem.checkpoint.bundle import load_bundle
from tandem.checkpoint.manifest import manifest_file, read_manifest, sha256_of
from tandem.checkpoint.official_files import read_official
from tandem.checkpoint.store import CheckpointStore
from tandem.config.classes import read_classes
from tandem.config.run import from_flat
from tandem.config.yaml import read_file
from tandem.data.array_files import read_image, write_image
from tandem.data.download.catalogue import CATALOGUE
from tandem.data.download.install import DatasetSource, install
from tandem.data.manifest import read_manifest as read_table
from tandem.data.parquet import main as parquet_main
from tandem.data.shards.index import parse_index
from tandem.data.shards.open import open_shards, read_shards
from tandem.data.shards.tar import scan
from tandem.data.shards.unpacked import unpack_all
from tandem.data.synthetic.info import load_dataset_info
from tandem.evaluation.folder import read_reports
from tandem.evaluation.options import read_palette
from tandem.evaluation.rows.cache import RowCache
from tandem.inference.onnx.check import check_file
from tandem.inference.sample_record import SampleRecord
from tandem.inference.sampling import read_latents
from tandem.networks.backbones import tensor_files
from tandem.report.records import read_metrics
from tandem.tensors import open_tensors, write_tensors
from tandem.training.export import checkpoint_model
from tandem.training.run_folder import RunFolder
from tandem.training.sources import recall_data
from tools.faults.fuzz import mutate
from tools.faults.fuzz.copies import in_copies
from tools.faults.fuzz.images import IMAGE_READERS
from tools.faults.fuzz.reader import Read, Reader, in_a_file, npz
from tools.faults.ground import Ground


def _in_zarr(name: str) -> tuple[Callable[[Ground], list[bytes]], Callable[[Ground, Path], Read]]:
    """One of the files of an OME-Zarr: its genuine content, and what reads the image with another one."""

    def write(folder: Path) -> Path:
        image = folder / "x.ome.zarr"
        write_image(image, np.arange(7 * 9 * 2, dtype=np.uint16).reshape(7, 9, 2))
        return image

    def seeds(_: Ground) -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            return [(write(Path(folder)) / name).read_bytes()]

    def prepare(_: Ground, folder: Path) -> Read:
        image = write(folder)

        def reading(content: bytes) -> object:
            (image / name).write_bytes(content)
            return read_image(image)

        return reading

    return seeds, prepare


def _table(suffix: str) -> Callable[[Ground], list[bytes]]:
    rows = [("a/1.png", "b/1.png", "train"), ("a/2.png", "b/2.png", "test")]

    def seeds(_: Ground) -> list[bytes]:
        if suffix == ".jsonl":
            return ["".join(json.dumps(dict(zip("ab", row, strict=False))) + "\n" for row in rows).encode()]
        if suffix == ".csv":
            return ["\n".join(["a,b,split", *map(",".join, rows)]).encode()]
        buffer = io.BytesIO()
        columns = dict(zip(("a", "b", "split"), map(list, zip(*rows, strict=True)), strict=True))
        parquet.write_table(pyarrow.table(columns), buffer)
        return [buffer.getvalue()]

    return seeds


def _listing(ground: Ground, folder: Path, *, suffix: str) -> Read:
    """A table beside the files that it names."""
    for side in "ab":
        (folder / side).mkdir()
        for number in (1, 2):
            Image.new("RGB", (4, 4)).save(folder / side / f"{number}.png")
    read = in_a_file(f"pairs{suffix}", read_table)(ground, folder)

    def reading(content: bytes) -> object:
        with in_copies(parquet_main):
            return read(content)

    return reading if suffix == ".parquet" else read


def _classes(_: Ground) -> list[bytes]:
    return [b"classes:\n- {name: road, value: 3, colour: '#ff0000'}\n- {name: sky, value: 7, colour: [0, 1, 2]}\n"]


def _in_model(name: str) -> Callable[[Ground, Path], Read]:
    def prepare(ground: Ground, folder: Path) -> Read:
        shutil.copytree(ground.run / "model", folder, dirs_exist_ok=True)

        def reading(content: bytes) -> object:
            (folder / name).write_bytes(content)
            read_manifest(folder)
            return load_bundle(folder)

        return reading

    return prepare


def _weights_of(ground: Ground) -> Path:
    return next((ground.run / "model").glob("*.safetensors"))


def _weights(ground: Ground, folder: Path) -> Read:
    """Weights whose hash the manifest knows: so all that follows reads them."""
    shutil.copytree(ground.run / "model", folder, dirs_exist_ok=True)
    path = folder / _weights_of(ground).name
    manifest = json.loads(manifest_file(folder).read_text())

    def reading(content: bytes) -> object:
        path.write_bytes(content)
        manifest["weights"]["sha256"] = sha256_of(path)
        manifest_file(folder).write_text(json.dumps(manifest))
        return load_bundle(folder)

    return reading


def _shared(ground: Ground, folder: Path) -> Read:
    shutil.copytree(_hub(ground), folder, dirs_exist_ok=True)

    def reading(content: bytes) -> object:
        (folder / "config.json").write_bytes(content)
        return read_manifest(folder)

    return reading


def _hub(ground: Ground) -> Path:
    folder = ground.folder / "hub"
    if not folder.exists():
        ground.call(["export", ground.run, "--to", "hub", "--out", folder])
    return folder


def _newest(ground: Ground) -> Path:
    return max((ground.run / "checkpoints").glob("step-*.safetensors"))


def _small_checkpoint(ground: Ground) -> list[bytes]:
    """The metadata of a whole one, with the few tensors that are smallest."""
    with open_tensors(_newest(ground)) as file, tempfile.TemporaryDirectory() as folder:
        tensors = sorted(file.tensors().items(), key=lambda item: (item[1].nbytes, item[0]))[:12]
        path = Path(folder) / "small.safetensors"
        write_tensors(path, dict(tensors), file.metadata or {})
        return [path.read_bytes()]


def _checkpoint(ground: Ground, folder: Path) -> Read:
    store, path = CheckpointStore(folder), folder / _newest(ground).name

    def reading(content: bytes) -> object:
        path.write_bytes(content)
        step = store.steps()[-1]
        store.best_step()
        return store.metadata(step), store.tensors(step)

    return reading


def _metadata(ground: Ground) -> list[bytes]:
    with open_tensors(_newest(ground)) as file:
        return [json.dumps(file.metadata).encode()]


def _checkpoint_metadata(ground: Ground, folder: Path) -> Read:
    """Metadata with right hashes around them, read as export does."""
    shutil.copytree(ground.run / "model", folder / "model")
    run = RunFolder(folder)
    store, path = CheckpointStore(run.checkpoints), run.checkpoints / _newest(ground).name
    tensors = CheckpointStore(ground.run / "checkpoints").tensors(CheckpointStore.step_of(path) or 0)
    tensors = {name: tensor for name, tensor in tensors.items() if name.startswith(("network/", "ema/", "prior/"))}
    run.checkpoints.mkdir(parents=True)

    def reading(content: bytes) -> object:
        try:
            metadata = json.loads(content)
        except (ValueError, RecursionError):
            return None
        write_tensors(path, tensors, metadata)
        step = store.steps()[-1]
        store.best_step()
        store.measured(step)
        return checkpoint_model(run, step)

    return reading


def _row_cache(_: Ground, folder: Path) -> Read:
    cache = RowCache(folder, "spec")
    cache.put(["a"], [np.zeros(4, np.float32)])
    cache.flush()
    place = next(folder.rglob("*.npz")).parent

    def reading(content: bytes) -> object:
        for other in place.glob("*.npz"):
            other.unlink()
        (place / f"{hashlib.sha256(content).hexdigest()}.npz").write_bytes(content)
        found = RowCache(folder, "spec")
        found.put(["new"], [np.zeros(4, np.float32)])
        return found.knows(["a"])

    return reading


def _tensor_seeds(kind: str) -> Callable[[Ground], list[bytes]]:
    def seeds(ground: Ground) -> list[bytes]:
        return [npz(a=np.ones((3, 4), np.float32))] if kind == "npz" else [ground.weights[1].read_bytes()]

    return seeds


def _archive(_: Ground, folder: Path) -> Read:
    path, out, number = folder / "a.zip", folder / "out", 0

    def reading(content: bytes) -> object:
        nonlocal number
        number += 1
        path.write_bytes(content)
        try:
            return install(CATALOGUE["pix2pix/facades"], out, DatasetSource(archive=path, unchecked=True))
        finally:
            shutil.rmtree(out, ignore_errors=True)

    return reading


def _archive_seeds(packed: bool) -> Callable[[Ground], list[bytes]]:
    def seeds(ground: Ground) -> list[bytes]:
        image = min(ground.data.rglob("*.png"), key=lambda path: path.stat().st_size).read_bytes()[:600]
        buffer = io.BytesIO()
        names = [f"facades/{split}/1.jpg" for split in ("train", "val", "test")]
        if packed:
            with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
                for name in names:
                    info = tarfile.TarInfo(name)
                    info.size = len(image)
                    tar.addfile(info, io.BytesIO(image))
        else:
            with zipfile.ZipFile(buffer, "w") as archive:
                for name in names:
                    archive.writestr(name, image)
        return [buffer.getvalue()]

    return seeds


def _shards(ground: Ground) -> Path:
    folder = ground.folder / "shards"
    if not folder.exists():
        ground.call(["data", "pack", ground.data, folder, "--shard-size", "1"])
    return folder


def _shard(_: Ground, folder: Path) -> Read:
    """A shard without index, from its headers to its images."""
    path = folder / "train-00000.tar"

    def reading(content: bytes) -> object:
        path.write_bytes(content)
        list(scan(path))
        split = open_shards(read_shards(folder), paired=True)["train"]
        return [len(list(items)) for items in split.sequences().values()]

    return reading


def _onnx(ground: Ground) -> list[bytes]:
    path = ground.folder / "model.onnx"
    if not path.exists():
        ended = ground.call(["export", ground.run, "--to", "onnx", "--out", path])
        if ended.status:
            raise RuntimeError(ended.text)
    content = path.read_bytes()
    return [content, content[: len(content) // 2]]


def _options(ground: Ground) -> list[bytes]:
    """The options of a run, as they are written, and without the comments, by which it takes a third as long."""
    whole = (ground.run / "config.yaml").read_bytes()
    plain = b"".join(line.partition(b"  #")[0].rstrip() + b"\n" for line in whole.splitlines() if line[:1] != b"#")
    return [whole, *[plain] * 9]


def _yaml(path: Path) -> object:
    return from_flat(read_file(path))


def _record(ground: Ground, folder: Path) -> Read:
    """The record of a sampling that goes on, so that its lines are read."""
    settings = json.loads(_samples(ground)[0].splitlines()[0])

    def read(path: Path) -> object:
        record = SampleRecord(path, settings)
        record.read()
        return record

    return in_a_file("samples.jsonl", read)(ground, folder)


def _bytes_of(*parts: str) -> Callable[[Ground], list[bytes]]:
    return lambda ground: [ground.folder.joinpath(*parts).read_bytes()]


def _samples(ground: Ground) -> list[bytes]:
    folder = ground.folder / "samples"
    if not folder.exists():
        ground.call(["sample", ground.run, ground.data, "--out", folder, "--num-samples", "1", "--device", "cpu"])
    return [(folder / "samples.jsonl").read_bytes()]


def _sources(_: Ground, folder: Path) -> Read:
    run = RunFolder(folder)

    def reading(content: bytes) -> object:
        run.sources.write_bytes(content)
        return recall_data(run)

    return reading


ALL_READERS: tuple[Reader, ...] = (
    *IMAGE_READERS,
    Reader("model.json", _bytes_of("run", "model", "model.json"), _in_model("model.json"), mutate.of_json),
    Reader("model-weights", lambda g: [_weights_of(g).read_bytes()], _weights, mutate.of_tensors),
    Reader("config.json", lambda g: [(_hub(g) / "config.json").read_bytes()], _shared, mutate.of_json),
    Reader("checkpoint", _small_checkpoint, _checkpoint, mutate.of_tensors),
    Reader("checkpoint-metadata", _metadata, _checkpoint_metadata, mutate.of_json),
    Reader(
        "index.json",
        lambda g: [(_shards(g) / "index.json").read_bytes()],
        in_a_file("index.json", lambda p: parse_index(p.read_bytes(), str(p))),
        mutate.of_json,
    ),
    *(
        Reader(f"table{suffix}", _table(suffix), functools.partial(_listing, suffix=suffix), change)
        for suffix, change in ((".csv", mutate.of_lines), (".jsonl", mutate.of_lines), (".parquet", mutate.of_bytes))
    ),
    Reader("classes", _classes, in_a_file("c.yaml", lambda p: read_classes(str(p), "--classes-a")), mutate.of_yaml),
    Reader("zarr-attributes", *_in_zarr(".zattrs"), mutate.of_json),
    Reader("zarr-array", *_in_zarr("0/.zarray"), mutate.of_json),
    Reader("zarr-chunk", *_in_zarr("0/0/0/0"), mutate.of_bytes),
    Reader(
        "shard-gz",
        lambda g: [gzip.compress(min(_shards(g).glob("train*.tar")).read_bytes())],
        in_a_file("x.tar.gz", lambda p: unpack_all({"x.tar": p}, p.parent / "unpacked", 1 << 26)),
        mutate.of_bytes,
    ),
    Reader("shard", lambda g: [min(_shards(g).glob("train*.tar")).read_bytes()], _shard, mutate.of_tar),
    Reader(
        "evaluation-cache",
        lambda _: [npz(keys=np.array(["a", "b"]), rows=np.zeros((2, 4), np.float32))],
        _row_cache,
        mutate.of_zip,
    ),
    Reader("features-npz", _tensor_seeds("npz"), in_a_file("f.npz", tensor_files.read_arrays), mutate.of_zip),
    Reader("features-pth", _tensor_seeds("pth"), in_a_file("f.pth", tensor_files.read_state_dict), mutate.of_zip),
    Reader("official-pth", _tensor_seeds("pth"), in_a_file("latest_net_E.pth", read_official), mutate.of_zip),
    Reader("config.yaml", _options, in_a_file("c.yaml", _yaml), mutate.of_yaml),
    Reader("download-zip", _archive_seeds(False), _archive, mutate.of_zip),
    Reader("download-tar", _archive_seeds(True), _archive, mutate.of_packed_tar),
    Reader("onnx", _onnx, in_a_file("m.onnx", check_file), mutate.of_bytes),
    Reader(
        "metrics.jsonl", _bytes_of("run", "metrics.jsonl"), in_a_file("metrics.jsonl", read_metrics), mutate.of_lines
    ),
    Reader(
        "report.json",
        _bytes_of("measured-0", "report.json"),
        in_a_file("report.json", lambda p: read_reports(p.parent)),
        mutate.of_json,
    ),
    Reader("samples.jsonl", _samples, _record, mutate.of_lines),
    Reader(
        "demo.json",
        _bytes_of("data", "demo.json"),
        in_a_file("demo.json", lambda p: load_dataset_info(p.parent)),
        mutate.of_json,
    ),
    Reader("sources.json", _bytes_of("run", "sources.json"), _sources, mutate.of_json),
    Reader(
        "latents",
        lambda _: [b"[[0.5, 1, -2], [0, 0, 1e3]]"],
        in_a_file("z.json", lambda p: read_latents(str(p))),
        mutate.of_json,
    ),
    Reader(
        "palette",
        lambda _: [b"[[0, 128, 255], [1, 2, 3]]"],
        in_a_file("p.json", lambda p: read_palette(str(p))),
        mutate.of_json,
    ),
)
