"""Every allowed value of every option, through steps, snapshot, validation, samples, export and use."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from covering import Run, covering_runs
from PIL import Image
from support import assert_page_is_whole, flags, log_of, tandem

SMALL: dict[str, Any] = {
    "size": 32,
    "generator_filters": 2,
    "discriminator_filters": 2,
    "discriminator_layers": 1,
    "steps": 2,
    "snapshot_every": 2,
    "log_every": 2,
    "validate_every": 2,
    "validate_samples": 2,
    "validate_features": "features.onnx",
    "num_previews": 2,
    "num_preview_samples": 2,
    "num_workers": 0,
    "device": "cpu",
}
BASE: dict[str, dict[str, Any]] = {
    "bicyclegan": SMALL | {"encoder_filters": 2, "latent_dim": 2, "generator_depth": 3, "batch_size": 2},
    "tandem": SMALL | {"encoder_filters": 2, "latent_dim": 2, "generator_depth": 3, "batch_size": 2, "gan_from": 0.5},
    "pix2pix": SMALL
    | {"generator_depth": 3, "dropout": False, "batch_size": 1, "augment_colour": 0.1, "augment_rotate": 5.0},
    "cyclegan": SMALL | {"size": 16, "generator_blocks": 1, "batch_size": 1},
    "cut": SMALL | {"size": 16, "generator_blocks": 5, "nce_patches": 4, "nce_filters": 2, "batch_size": 1},
}
OUT = ("--device", "cpu", "--out")
RUNS = list(covering_runs(BASE))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs with transparency, so that no number of channels is without sense: four for training, two held out."""
    folder = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        (folder / split).mkdir()
        for index in range(count):
            pixels = draw.integers(0, 256, (64, 128, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{index}.png")
    frames = [Image.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for _ in range(2)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    return folder


@pytest.mark.parametrize("run", RUNS, ids=[f"{run.method}-{index}" for index, run in enumerate(RUNS)])
def test_from_training_to_use(images: Path, features: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "run"
    given = {name: value for name, value in run.training.items() if value is not None} | {"validate_features": features}
    words = flags(**{name: ",".join(value) if isinstance(value, tuple) else value for name, value in given.items()})
    assert_ends("train", images, "--out", out, *words)
    assert {"train", "health", "validation"} == {line["kind"] for line in log_of(out)}
    assert_page_is_whole(out / "index.html", least=1)
    assert_page_is_whole(out / "samples" / "index.html", least=2)
    assert_ends("timeline", out, "--out", tmp_path / "timeline.png")
    assert_ends("export", out, "--checkpoint", "2", "--out", tmp_path / "model")

    several = ["--num-samples", "2"] if run.method in {"bicyclegan", "tandem"} else []
    reference = ["--reference", images / "val" / "0.png"] if run.sampling.get("mode") == "reference" else []
    inputs = ["--pairs", images / "val" / "1.png"]
    assert_ends("sample", tmp_path / "model", *inputs, *reference, *several, *run.words, *OUT, tmp_path / "out")
    if run.sampling.get("only") == "outputs":
        assert {path.stem[:1] for path in (tmp_path / "out").iterdir()} == {".", "1"}
    else:
        assert_page_is_whole(tmp_path / "out" / "index.html", least=2)
    assert_ends("sample", tmp_path / "model", images / "moving.gif", *OUT, tmp_path / "moving.gif")
    words = ("--features", features, "--num-samples", "2", "--device", "cpu")
    assert_ends("evaluate", tmp_path / "model", images, *words)
    assert_page_is_whole(tmp_path / "model" / "evaluation" / "report.html", least=1)


def assert_ends(command: str, *words: str | Path) -> None:
    finished = tandem(command, *words)
    assert finished.status == 0, f"{command} {' '.join(map(str, words))}\n{finished.err[-3000:]}"
