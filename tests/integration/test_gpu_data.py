"""How images reach a CUDA device; skipped where there is none. tools/gpu_checks.sh runs these."""

import itertools
import json
from pathlib import Path

import pytest
import torch
from support import log_of, tiny_config

from tandem.data.decoded import DecodedImages
from tandem.data.loader import Batch, make_loader
from tandem.data.prefetch import DevicePrefetcher
from tandem.data.resident import ResidentDataset, fill
from tandem.data.synthetic import write_dataset
from tandem.training.inputs import find_data, make_dataset
from tandem.training.trainer import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "demo", size=64, num_train=10, num_val=2, num_test=1)


def taken(batches: DevicePrefetcher, count: int) -> list[Batch]:
    return list(itertools.islice(batches, count))


@pytest.mark.parametrize("mode", ["resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none"])
def test_batches_of_the_device_are_those_of_the_files(data: Path, mode: str) -> None:
    config = tiny_config(size=64, preprocess=mode)
    folder = find_data(data, paired=True)["train"]
    with make_loader(make_dataset(config, folder), start=0, batch_size=4, num_workers=0) as loader:
        expected = list(itertools.islice(loader, 12))
    kept = make_dataset(config, folder)
    kept.decoded = DecodedImages(kept.num_slots, 1 << 24)
    fill(kept, kept.decoded)
    for source, workers in ((ResidentDataset(kept, CUDA), 0), (kept, 2)):
        loader = make_loader(source, start=0, batch_size=4, num_workers=workers, pin_memory=True)
        with DevicePrefetcher(loader, CUDA) as batches:
            for found, wanted in zip(taken(batches, 12), expected, strict=True):
                for side in ("a", "b"):
                    assert found[side].device.type == "cuda"
                    assert torch.equal(found[side].cpu(), wanted[side])
                assert found["names"] == wanted["names"]


def test_batches_stay_what_they_are_while_later_ones_are_copied(data: Path) -> None:
    config = tiny_config(size=64)
    source = make_dataset(config, find_data(data, paired=True)["train"])
    with make_loader(source, start=0, batch_size=4, num_workers=0) as loader:
        expected = [batch["a"].double().sum().item() for batch in itertools.islice(loader, 40)]
    loader = make_loader(source, start=0, batch_size=4, num_workers=2, pin_memory=True)
    sums, work = [], torch.ones(2048, 2048, device=CUDA)
    with DevicePrefetcher(loader, CUDA) as batches:
        for batch in itertools.islice(batches, 40):
            for _ in range(20):  # the device is behind when the next copy begins and this batch is dropped
                work = work @ work / 2048
            sums.append(batch["a"].double().sum())
            del batch
    assert [value.item() for value in sums] == pytest.approx(expected, rel=1e-12)


def test_where_images_stay_changes_no_run(data: Path, tmp_path: Path) -> None:
    options = {"device": "cuda", "deterministic": True, "size": 64, "steps": 8}
    runs = {"files": {"decoded_gb": 0, "num_workers": 2}, "ram": {"decoded_place": "ram"}, "auto": {}}
    for name, own in runs.items():
        train(tiny_config(**options, **own), data, tmp_path / name)
    assert log_of(tmp_path / "ram") == log_of(tmp_path / "files")
    assert log_of(tmp_path / "auto") == log_of(tmp_path / "files")
    lines = (tmp_path / "auto" / "metrics.jsonl").read_text().splitlines()
    assert any(json.loads(line).get("speed", {}).get("waiting") for line in lines)
