"""``python -m benchmarks.features``: what it measures, says and refuses."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import benchmark

from benchmarks.features.timing import FEATURE_NETWORKS, FeatureNetwork, load_network, write_pictures
from tandem.evaluation.kinds.features import FeatureRows
from tandem.evaluation.rows.gather import gather

TINY = ["--network", "mobilenet", "--size", "40", "--device", "cpu"]
CPU = torch.device("cpu")


def test_files_to_rows_and_the_bare_forward_are_measured() -> None:
    measured = benchmark("features", *TINY, "--images", "17", "--rounds", "2", "--batch-size", "3", "--json")
    assert measured.status == 0, measured.err
    report = json.loads(measured.out)
    assert (report["images_per_round"], report["weights"], report["num_workers"]) == (8, "random", 1)
    forward, pipeline, ratio = (report[name]["all"] for name in ("forward_seconds", "pipeline_seconds", "ratio"))
    assert len(forward) == len(pipeline) == 2
    assert ratio == [bare / whole for bare, whole in zip(forward, pipeline, strict=True)]
    assert report["cpu_ratio"]["median"] > 0
    assert report["header"]["device"] == "cpu"


def test_the_text() -> None:
    words = ["--images", "4", "--rounds", "1", "--batch-size", "2", "--format", "jpeg", "--num-workers", "0"]
    shown = benchmark("features", *TINY, *words)
    assert shown.status == 0, shown.err
    assert "mobilenet with random weights, resizer clean, batch 2; 40 px, JPEG, 0 threads reading ahead" in shown.out
    for name in ("bare forward", "files to rows", "ratio", "in CPU time", "peak memory"):
        assert f"\n{name} " in shown.out


def test_pictures_have_contents_of_their_own(tmp_path: Path) -> None:
    """Equal contents would be measured once, and the rest taken from the cache."""
    cases = write_pictures(tmp_path, 70, size=32, image_format="both")
    assert len({case.key(1) for case in cases}) == 70
    assert sorted({path.suffix for path in tmp_path.iterdir()}) == [".jpeg", ".png"]
    whole = (tmp_path / "64.png").read_bytes()
    with Image.open(io.BytesIO(whole[:-4])) as image:
        assert np.array_equal(np.asarray(image), cases[64].load().samples(1)[0])


@pytest.mark.parametrize("name", FEATURE_NETWORKS)
def test_random_networks_give_numbers_of_ordinary_size(name: FeatureNetwork, tmp_path: Path) -> None:
    extractor = load_network(name, None, device=CPU, resizer="clean")
    rows = FeatureRows(extractor)
    cases = write_pictures(tmp_path, 2, size=64, image_format="png")
    features = gather(cases, [rows], cache=None, batch_size=2)[rows.spec]
    assert features.shape == (2, extractor.spec.num_features)
    assert 1e-3 < features.std() < 1e3
    assert not np.array_equal(features[0], features[1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--images", "40"], "5 rounds of at least a batch of 16 need 80 images, not 40"),
        (["--rounds", "0"], "--rounds: must be at least 1, not 0"),
        (["--num-workers", "-1"], "--num-workers: must be at least 0, not -1"),
        (["--network", "inception", "--weights", "nowhere.pth"], "the weight file nowhere.pth does not exist"),
    ],
)
def test_refused(words: list[str], message: str) -> None:
    refused = benchmark("features", *words)
    assert refused.status in {1, 2}
    assert message in refused.err
