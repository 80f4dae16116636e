"""Several commands in one folder, and folders that vanish: one owner, and readers that keep what they read."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import finish, num_log_lines, start, tandem, tiny, until

from preprocessing import preprocessing
from tandem.checkpoint import manifest as manifests
from tandem.checkpoint.bundle import load_bundle, save_bundle
from tandem.checkpoint.manifest import Manifest
from tandem.config.specifications import UNetSpec
from tandem.files import owned
from tandem.networks.build import build_network


def test_a_bundle_can_be_read_while_it_is_renewed(tmp_path: Path) -> None:
    """Every model that is read is one of those that were written, whole."""
    spec = UNetSpec(in_channels=1, out_channels=1, latent_dim=2, depth=2, filters=2)
    manifest = Manifest(
        tandem_version="1",
        method="bicyclegan",
        networks={"generator": spec},
        preprocessing=preprocessing((4, 4), (1, 1), direction="AtoB"),
    )
    network = build_network(spec)
    with torch.no_grad():
        for value in network.parameters():
            value.fill_(0)
    save_bundle(tmp_path, manifest, {"generator": network})
    ended = threading.Event()

    def renew() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            with torch.no_grad():
                for value in network.parameters():
                    value.fill_(number)
            save_bundle(tmp_path, manifest, {"generator": network})

    writer = threading.Thread(target=renew)
    writer.start()
    try:
        seen = set()
        for _ in range(100):
            (found,) = load_bundle(tmp_path)[1].values()
            values = torch.cat([value.flatten() for value in found.parameters()]).unique()
            assert len(values) == 1
            seen.add(values[0].item())
    finally:
        ended.set()
        writer.join()
    assert len(seen) > 2


def test_a_bundle_that_is_renewed_before_its_weights_are_opened(
    make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its old weights have been found, and are gone when they are opened: it is read again."""
    folder = make_bundle()
    own, networks = load_bundle(folder)
    read, asked = manifests.sha256_of, []

    def renew_first(path: Path) -> str:
        asked.append(path)
        if len(asked) == 1:
            with torch.no_grad():
                for value in networks["generator"].parameters():
                    value.fill_(3)
            save_bundle(folder, own, networks)
            assert not path.exists()
        return read(path)

    monkeypatch.setattr(manifests, "sha256_of", renew_first)
    found = load_bundle(folder)[1]["generator"]
    assert all((value == 3).all() for value in found.parameters())
    assert len(asked) == 2


def test_two_samplings_into_one_folder(finished_run: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "samples"
    words = ["sample", finished_run, data, "--out", out, "--device", "cpu", "--num-samples", "1"]
    with owned(out, "writing samples to"):
        refused = tandem(*words)
    assert refused.status == 2
    assert f"another process is writing samples to {out}: wait for it, stop it, or give another --out" in refused.err
    assert tandem(*words).status == 0
    assert sorted(path.name for path in out.iterdir()) == ["images", "index.html", "samples.jsonl"]


def test_two_drawings_into_one_folder(tmp_path: Path) -> None:
    words = ["data", "demo", tmp_path / "d", "--size", "32", "--num-train", "3", "--num-val", "1", "--num-test", "1"]
    with owned(tmp_path / "d", "drawing the demo dataset in"):
        refused = tandem(*words)
    assert refused.status == 2
    assert "another process is drawing the demo dataset in" in refused.err
    assert tandem(*words).status == 0
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["demo.json", "test", "train", "val"]


def test_a_run_whose_folder_is_removed(data: Path, tmp_path: Path) -> None:
    """It ends with an error, and makes no new folder of the old name."""
    out = tmp_path / "run"
    process = start("train", data, "--out", out, *tiny(steps=100_000, log_every=1, snapshot_every=20))
    until(lambda: num_log_lines(out) >= 4, process.pid)
    shutil.rmtree(out)
    ended = finish(process)
    assert ended.status == 1
    assert "has been removed, moved or replaced while it was trained" in ended.out
    assert "Traceback" not in ended.out
    assert not (out / "config.yaml").exists()
    assert not (out / "index.html").exists()
    assert not (out / "checkpoints").exists()
