"""``tandem evaluate`` that is killed and continued: the same report, and nothing computed twice."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from support import files_of, fork, leftovers, tandem, wait_for

from model_files import write_random_features
from tandem.data.synthetic import write_dataset
from tandem.evaluation.networks.features import FeatureExtractor
from tandem.evaluation.rows import cache
from tandem.inference.translator import Translator

NUM_TEST, BATCH = 10, 2


@pytest.fixture
def words(make_bundle: Callable[..., Path], tmp_path: Path) -> list[str | Path]:
    data = write_dataset(tmp_path / "data", size=32, num_train=2, num_val=1, num_test=NUM_TEST)
    features = write_random_features(tmp_path / "features.onnx")
    metrics = "frechet,kid,l1,l1-diversity"
    return [
        *("evaluate", make_bundle(size=(32, 32)), data, "--features", features, "--metrics", metrics),
        *("--num-samples", "2", "--batch-size", str(BATCH), "--device", "cpu"),
    ]


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Count the images that go through the feature network, and the inputs that are translated."""
    counts = {"features": 0, "translations": 0}
    extract, translate = FeatureExtractor.__call__, Translator.__call__

    def extracting(self: FeatureExtractor, images: torch.Tensor) -> torch.Tensor:
        counts["features"] += len(images)
        return extract(self, images)

    def translating(self: Translator, *args: object, **options: object) -> object:
        counts["translations"] += 1
        return translate(self, *args, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureExtractor, "__call__", extracting)
        patch.setattr(Translator, "__call__", translating)
        yield counts


def results(out: Path) -> dict[str, bytes]:
    return {name: content for name, content in files_of(out).items() if not name.startswith("cache")}


def killed_after(images: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes the process kill itself when so many images have gone through the feature network."""
    done = 0
    extract = FeatureExtractor.__call__

    def extracting(self: FeatureExtractor, batch: torch.Tensor) -> torch.Tensor:
        nonlocal done
        if done >= images:
            os.kill(os.getpid(), signal.SIGKILL)
        done += len(batch)
        return extract(self, batch)

    def before() -> None:
        monkeypatch.setattr(FeatureExtractor, "__call__", extracting)
        monkeypatch.setattr(cache, "FLUSH_SECONDS", 0.0)

    return before


@pytest.mark.parametrize("images", [4, NUM_TEST + 4])
def test_killed_and_continued(
    words: list[str | Path], images: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted() as undisturbed:
        assert tandem(*words, "--out", tmp_path / "whole").status == 0
    assert undisturbed["features"] == 2 * NUM_TEST
    out = tmp_path / "killed"
    assert wait_for(fork(*words, "--out", out, before=killed_after(images, monkeypatch))) == -signal.SIGKILL
    assert not (out / "report.json").exists()
    with counted() as counts:
        assert tandem(*words, "--out", out).status == 0
    assert counts["features"] == 2 * NUM_TEST - images
    assert results(out) == results(tmp_path / "whole")
    assert leftovers(out) == []


def test_a_second_time_everything_is_known(words: list[str | Path], tmp_path: Path) -> None:
    """But for the pictures, which are generated again; and another model finds the features of the real images."""
    shared = ["--cache", tmp_path / "cache"]
    assert tandem(*words, *shared, "--out", tmp_path / "a").status == 0
    with counted() as counts:
        assert tandem(*words, *shared, "--out", tmp_path / "b").status == 0
    assert counts["features"] == 0
    assert counts["translations"] <= NUM_TEST
    assert results(tmp_path / "a") == results(tmp_path / "b")
    with counted() as counts:
        assert tandem(*words, *shared, "--seed", "1", "--out", tmp_path / "c").status == 0
    assert counts["features"] == NUM_TEST
    with counted() as counts:
        assert tandem(*words, *shared, "--num-samples", "3", "--out", tmp_path / "d").status == 0
    assert counts["features"] == 0  # they are those of the first sample


def test_other_content_under_the_same_name_is_measured(words: list[str | Path], tmp_path: Path) -> None:
    out, data = tmp_path / "out", Path(words[2])
    assert tandem(*words, "--out", out).status == 0
    before = json.loads((out / "report.json").read_text())
    first, second = sorted((data / "test").iterdir())[:2]
    shutil.copy(second, first)
    with counted() as counts:
        assert tandem(*words, "--out", out).status == 0
    assert counts["features"] == BATCH  # the batch of its sample; its output is known under the other name
    after = json.loads((out / "report.json").read_text())
    assert before["data"]["inputs_sha256"] != after["data"]["inputs_sha256"]
    assert before["results"] != after["results"]


def test_a_damaged_cache_is_computed_anew(words: list[str | Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert tandem(*words, "--out", out).status == 0
    before = results(out)
    for number, file in enumerate(sorted((out / "cache").rglob("*.npz"))):
        content = file.read_bytes()
        file.write_bytes((b"", content[: len(content) // 2], b"PK\x03\x04" + bytes(100))[number % 3])
    finished = tandem(*words, "--out", out)
    assert finished.status == 0, finished.err
    assert "is damaged and will be computed anew" in finished.err
    assert results(out) == before
