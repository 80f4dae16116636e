"""Files of others: pipes are not waited for, sizes are bounded before reading, and every exception names the file."""

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tandem.bench.quality.plan import read_plan
from tandem.bench.quality.results import read_report
from tandem.checkpoint.manifest import read_manifest
from tandem.checkpoint.store import CheckpointStore
from tandem.config.yaml import read_file
from tandem.data.images import read_image
from tandem.data.shards.tar import scan
from tandem.data.synthetic.info import read_json
from tandem.errors import CheckpointError, NoMemoryError, TandemError
from tandem.evaluation.folder import read_reports
from tandem.evaluation.options import read_palette
from tandem.foreign import load_json, open_plain, read_bounded, reading
from tandem.inference.sample_record import SampleRecord
from tandem.inference.sampling import read_latents
from tandem.networks.backbones.read import read_backbone

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("x.yaml", read_file),
        ("x.json", lambda path: read_latents(str(path))),
        ("palette.json", lambda path: read_palette(str(path))),
        ("demo.json", read_json),
        ("report.json", read_reports),
        ("quality.json", read_report),
        ("plan.json", read_plan),
        ("samples.jsonl", lambda path: SampleRecord(path, {}).read()),
        ("x.png", read_image),
        ("x.tar", lambda path: list(scan(path))),
        ("step-00000001.safetensors", lambda path: CheckpointStore(path.parent).read(1)),
        ("model.json", lambda path: read_manifest(path.parent)),
        ("x.safetensors", read_backbone),
        ("x.npz", read_backbone),
    ],
)
def test_a_pipe_is_refused_at_once(tmp_path: Path, name: str, read: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / name)
    failed: list[BaseException] = []

    def attempt() -> None:
        try:
            read(tmp_path / name)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(failed[0], TandemError), failed
    assert name in str(failed[0]) or str(tmp_path) in str(failed[0])


def test_what_a_shell_hands_over_is_read(tmp_path: Path) -> None:
    """As of ``--config <(echo steps: 3)``."""
    reader, writer = os.pipe()
    os.write(writer, b"steps: 3\n")
    os.close(writer)
    assert read_file(Path(f"/dev/fd/{reader}")) == {"steps": 3}
    os.close(reader)


def test_bounds(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"123")
    assert read_bounded(tmp_path / "x", 3) == b"123"
    with pytest.raises(ValueError, match="larger than 2 bytes"):
        read_bounded(tmp_path / "x", 2)
    with pytest.raises(IsADirectoryError):
        open_plain(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "none")
    for content in (b"[" * 100_000, b"\xff", b"{", b"9" * 5000):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(ValueError):  # noqa: PT011  (each has its own words)
            load_json(tmp_path / "x", 10**6)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (KeyError("a"), CheckpointError, "x is damaged: 'a'"),
        (RecursionError(), CheckpointError, "x is damaged: it is nested too deeply"),
        (OSError("Invalid data stream"), CheckpointError, "x is damaged: Invalid data stream"),
        (OSError(errno.EIO, "Input/output error"), OSError, "Input/output error"),
        (MemoryError(), NoMemoryError, "there is not enough memory to read x"),
        (CheckpointError("as it is"), CheckpointError, "^as it is$"),
        (AssertionError(), CheckpointError, "x is damaged: AssertionError"),
    ],
)
def test_the_boundary(error: Exception, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text), reading("x", CheckpointError):
        raise error


@pytest.mark.parametrize("depth", [9])
def test_names_in_yaml_stand_for_single_values(tmp_path: Path, depth: int) -> None:
    """A few lines that are ten thousand million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, depth)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(TandemError, match=r"line 2: \*a0 stands for more than one value"):
        read_file(tmp_path / "bomb.yaml")
    (tmp_path / "fine.yaml").write_text("steps: &n 5\nseed: *n\n")
    assert read_file(tmp_path / "fine.yaml") == {"steps": 5, "seed": 5}
    assert json.dumps(read_file(tmp_path / "fine.yaml"))
