"""Weights of the metrics' networks: by path, from caches, downloaded from a real server; hostile files."""

import dataclasses
import functools
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from file_server import Behaviour, FileServer
from tandem.errors import WeightsError
from tandem.evaluation.networks import weights
from tandem.evaluation.networks.download import WEIGHTS_POLICY
from tandem.evaluation.networks.weights import PUBLISHED, PublishedWeights, find_weights
from tandem.files import cache_folder
from tandem.networks.backbones import tensor_files
from tandem.networks.backbones.tensor_files import read_arrays, read_state_dict

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer().running() as server:
        yield server


@pytest.fixture
def served(server: FileServer) -> Behaviour:
    return server.serve("/file.pth", CONTENT, etag=None)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "cache"


@pytest.fixture
def published(server: FileServer, served: Behaviour, cache: Path, monkeypatch: pytest.MonkeyPatch) -> PublishedWeights:
    """The server's file takes the place of AlexNet's, and is tried once."""
    entry = PublishedWeights("file.pth", f"{server.url}/file.pth", SHA256, len(CONTENT))
    monkeypatch.setitem(weights.PUBLISHED, "alex", entry)
    once = functools.partial(weights.download, policy=replace(WEIGHTS_POLICY, max_tries=1))
    monkeypatch.setattr(weights, "download", once)
    return entry


def test_the_first_use_downloads_and_the_next_does_not(
    server: FileServer, served: Behaviour, published: PublishedWeights, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = find_weights("alex")
    assert found.path == cache / "file.pth"
    assert found.path.read_bytes() == CONTENT
    assert (found.sha256, found.published) == (SHA256, True)
    assert "downloading file.pth: done, 1,048,576 bytes" in capsys.readouterr().err
    assert [path.name for path in cache.iterdir()] == ["file.pth"]
    assert find_weights("alex") == found
    assert server.asked_for("file.pth") == [""]


def test_an_interrupted_download_goes_on(
    server: FileServer, served: Behaviour, published: PublishedWeights, cache: Path
) -> None:
    served.cut_after = [700_000]
    with pytest.raises(WeightsError, match=r"700,000 of 1,048,576 bytes; try again to continue"):
        find_weights("alex")
    assert not (cache / "file.pth").exists()
    assert find_weights("alex").sha256 == SHA256
    assert server.asked_for("file.pth") == ["", "bytes=700000-"]


def test_a_server_without_ranges_begins_again(served: Behaviour, published: PublishedWeights) -> None:
    served.cut_after = [700_000]
    with pytest.raises(WeightsError, match="try again to continue"):
        find_weights("alex")
    served.ranges = False
    assert find_weights("alex").published


def test_another_file_is_not_taken(served: Behaviour, published: PublishedWeights, cache: Path) -> None:
    served.content = CONTENT[:-1] + b"!"
    with pytest.raises(WeightsError, match=rf"what arrived has the SHA-256 .* instead of {SHA256}"):
        find_weights("alex")
    assert list(cache.iterdir()) == []
    served.content = CONTENT
    assert find_weights("alex").published


def test_a_server_cannot_fill_the_disk(served: Behaviour, published: PublishedWeights, cache: Path) -> None:
    served.content = CONTENT * 3
    with pytest.raises(WeightsError, match="announces 3,145,728 bytes instead of 1,048,576"):
        find_weights("alex")
    assert list(cache.iterdir()) == []
    served.chunked = True
    with pytest.raises(WeightsError, match="more than the 1,048,576 bytes"):
        find_weights("alex")
    assert list(cache.iterdir()) == []


def test_several_processes_at_once_fetch_once(
    server: FileServer, served: Behaviour, published: PublishedWeights
) -> None:
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(find_weights("alex").published)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4
    assert server.asked_for("file.pth") == [""]


def test_without_a_connection_it_says_what_to_do(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = PublishedWeights("file.pth", "http://127.0.0.1:9/file.pth", SHA256, 5_000_000)
    monkeypatch.setitem(weights.PUBLISHED, "alex", entry)
    with pytest.raises(WeightsError) as error:
        find_weights("alex")
    message = str(error.value)
    assert "the weights 'alex' are not on this machine" in message
    assert "127.0.0.1 refuses the connection" in message
    lines = [line.split(maxsplit=1) for line in message.splitlines()]
    assert ["from", "http://127.0.0.1:9/file.pth"] in lines
    assert ["file", "file.pth, 5.0 MB"] in lines
    assert ["SHA-256", SHA256] in lines
    assert ["to", f"{cache}, or to another folder that you give with --weights"] in lines
    looked = [[str(cache / "file.pth")], [str(tmp_path / "torch" / "hub" / "checkpoints" / "file.pth")]]
    assert lines[-2:] == looked
    with pytest.raises(WeightsError, match="downloads are switched off"):
        find_weights("alex", may_download=False)


def test_pytorchs_cache_is_looked_into(server: FileServer, published: PublishedWeights, tmp_path: Path) -> None:
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    (hub / "file.pth").write_bytes(CONTENT)
    assert find_weights("alex").path == hub / "file.pth"
    assert server.asked == []


def test_a_published_name_must_have_the_published_content(published: PublishedWeights, cache: Path) -> None:
    cache.mkdir()
    (cache / "file.pth").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="damaged or another file: remove it, or rename it"):
        find_weights("alex")
    (cache / "mine.pth").write_bytes(b"mine")
    found = find_weights("alex", path=cache / "mine.pth")
    assert not found.published
    assert found.sha256 == hashlib.sha256(b"mine").hexdigest()


def test_a_folder_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "v0.0").mkdir()
    (tmp_path / "v0.0" / "alex.safetensors").write_bytes(b"x")
    assert find_weights("lpips-v0.0-alex", path=tmp_path).path == tmp_path / "v0.0" / "alex.safetensors"
    with pytest.raises(WeightsError, match=r"expected one of lpips-v0\.1-alex\.pth, v0\.1/alex\.pth"):
        find_weights("lpips-v0.1-alex", path=tmp_path)
    with pytest.raises(WeightsError, match="does not exist"):
        find_weights("inception", path=tmp_path / "none.pth")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", weights.PUBLISHED)
def test_one_folder_serves_all_weights(
    name: weights.WeightsName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the published names, and under those in the folders of other packages; nothing is downloaded."""
    entry = dataclasses.replace(weights.PUBLISHED[name], sha256=hashlib.sha256(b"published").hexdigest())
    monkeypatch.setitem(weights.PUBLISHED, name, entry)
    for number, file in enumerate((entry.file, *entry.aliases)):
        path = tmp_path / str(number) / file
        path.parent.mkdir(parents=True)
        path.write_bytes(b"published")
        found = find_weights(name, cache=tmp_path / str(number), may_download=False)
        assert (found.path, found.published) == (path, True)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("network", ["alex", "vgg", "squeeze"])
def test_torchmetrics_brings_the_heads_of_the_second_version(network: str) -> None:
    found = find_weights(f"lpips-v0.1-{network}", may_download=False)  # type: ignore[arg-type]
    assert found.published
    assert "torchmetrics" in found.path.parts
    assert all(key.endswith(".model.1.weight") for key in read_state_dict(found.path))
    with pytest.raises(WeightsError, match="not on this machine"):
        find_weights(f"lpips-v0.0-{network}", may_download=False)  # type: ignore[arg-type]


def test_the_table_is_consistent() -> None:
    for name, entry in PUBLISHED.items():
        assert len(entry.sha256) == 64
        assert entry.num_bytes < tensor_files.MAX_BYTES
        if not name.startswith("lpips"):  # these names end in the beginning of the hash
            assert entry.file.endswith(f"-{entry.sha256[:8]}.pth")


def test_the_cache_folder_follows_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TANDEM_CACHE", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "tandem"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == Path.home() / "Library" / "Caches" / "tandem"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "tandem"


class TestHostileFiles:
    def test_state_dicts_of_both_kinds(self, tmp_path: Path) -> None:
        state = {"a.weight": torch.arange(6.0).view(2, 3)}
        torch.save(state, tmp_path / "new.pth")
        torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
        save_file(state, tmp_path / "safe.safetensors")
        for name in ("new.pth", "old.pth", "safe.safetensors"):
            assert torch.equal(read_state_dict(tmp_path / name)["a.weight"], state["a.weight"])

    def test_a_pickle_is_not_run(self, tmp_path: Path) -> None:
        class Attack:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return Path.touch, (Path(tmp_path / "pwned"),)  # type: ignore[return-value]

        torch.save({"a": Attack()}, tmp_path / "attack.pth")
        with pytest.raises(WeightsError, match=r"attack\.pth cannot be read as a state dict"):
            read_state_dict(tmp_path / "attack.pth")
        np.savez(tmp_path / "attack.npz", a=np.array([Attack()], dtype=object))
        with pytest.raises(WeightsError, match=r"attack\.npz cannot be read as a \.npz file"):
            read_arrays(tmp_path / "attack.npz")
        assert not (tmp_path / "pwned").exists()

    @pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04broken", b"\x80\x02}q\x00."])
    @pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".npz"])
    def test_nonsense_is_said(self, tmp_path: Path, content: bytes, suffix: str) -> None:
        (tmp_path / f"x{suffix}").write_bytes(content)
        reader = read_arrays if suffix == ".npz" else read_state_dict
        with pytest.raises(WeightsError, match=r"x\.(pth|safetensors|npz)"):
            reader(tmp_path / f"x{suffix}")

    @pytest.mark.parametrize("held", [[1, 2], {"a": 3}, {1: torch.zeros(1)}, {"a": torch.zeros(2, 2).to_sparse()}])
    def test_other_contents_are_refused(self, tmp_path: Path, held: object) -> None:
        torch.save(held, tmp_path / "x.pth")
        with pytest.raises(WeightsError, match="state dict"):
            read_state_dict(tmp_path / "x.pth")

    def test_bombs_are_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tensor_files, "MAX_BYTES", 100_000)
        np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(1_000_000))
        assert (tmp_path / "bomb.npz").stat().st_size < 100_000
        with pytest.raises(WeightsError, match="unpacks to 8,000,"):
            read_arrays(tmp_path / "bomb.npz")
        torch.save({"a": torch.zeros(1000)}, tmp_path / "x.pth")
        packed = io.BytesIO()
        with (
            zipfile.ZipFile(tmp_path / "x.pth") as source,
            zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
        ):
            for entry in source.infolist():
                target.writestr(entry.filename, bytes(1_000_000) if "/data/" in entry.filename else source.read(entry))
        (tmp_path / "bomb.pth").write_bytes(packed.getvalue())
        with pytest.raises(WeightsError, match="unpacks to 1,000,"):
            read_state_dict(tmp_path / "bomb.pth")
        (tmp_path / "big.pth").write_bytes(bytes(100_001))
        with pytest.raises(WeightsError, match="has 100,001 bytes; at most 100,000"):
            read_state_dict(tmp_path / "big.pth")
        torch.save({"a": torch.zeros(1).expand(1_000_000)}, tmp_path / "wide.pth")
        with pytest.raises(WeightsError, match="unpacks to 4,000,000"):
            read_state_dict(tmp_path / "wide.pth")
