"""A learned prior from end to end: fitted while a run trains, kept in checkpoints and bundles, drawn from by all."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from process_groups import run_forked
from safetensors.numpy import load_file
from support import (
    assert_same_run,
    assert_same_state,
    files_of,
    log_of,
    records_of,
    sample,
    state_of,
    tandem,
    tiny,
    tiny_config,
    train,
)

from tandem import load
from tandem.checkpoint.manifest import read_manifest
from tandem.prior.distributions import MixturePrior, NormalPrior
from tandem.prior.fitting import fit_mixture
from tandem.prior.posteriors import Posteriors
from tandem.training.inputs import open_inputs

MIXTURE: dict[str, Any] = {"prior": "mixture", "prior_components": 2}


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten steps with all checkpoints."""
    out = tmp_path_factory.mktemp("prior") / "run"
    train(data, out, steps=10, keep_last=9, **MIXTURE)
    return out


def test_half_and_half_is_whole(data: Path, run: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "halves", steps=5, keep_last=9, **MIXTURE)
    train(data, tmp_path / "halves", steps=10, keep_last=9, **MIXTURE)
    assert_same_run(run, tmp_path / "halves")
    assert files_of(run / "model") == files_of(tmp_path / "halves" / "model")
    tensors = state_of(run)[0]
    assert {name for name in tensors if name.startswith("prior/")} == {"prior/weights", "prior/means", "prior/factors"}


def test_training_does_not_depend_on_it(finished_run: Path, run: Path) -> None:
    """The state of a run without one, but for the prior itself; it may be another one when a run goes on."""
    plain, own = state_of(finished_run)[0], state_of(run)[0]
    assert plain.keys() == {name for name in own if not name.startswith("prior/")}
    assert all(torch.equal(tensor, own[name]) for name, tensor in plain.items())


def test_it_may_change_when_a_run_goes_on(data: Path, run: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run", steps=5, keep_last=9)
    assert read_manifest(tmp_path / "run")[0].prior is None
    train(data, tmp_path / "run", steps=10, keep_last=9, **MIXTURE)
    assert_same_state(run, tmp_path / "run")
    ours, theirs = (files_of(folder / "model") for folder in (run, tmp_path / "run"))
    assert ours == theirs
    exported = tandem("export", tmp_path / "run", "--checkpoint", "4", "--out", tmp_path / "earlier")
    assert exported.status == 0, exported.err
    assert read_manifest(tmp_path / "earlier")[0].prior is None


def test_a_checkpoint_is_exported_as_training_wrote_it(data: Path, run: Path, tmp_path: Path) -> None:
    """Step 8, at which a shorter run has ended, without the data."""
    train(data, tmp_path / "short", steps=8, keep_last=9, **MIXTURE)
    moved = tmp_path / "moved"
    shutil.copytree(run, moved, ignore=shutil.ignore_patterns("sources.json", "cache"))
    exported = tandem("export", moved, "--checkpoint", "8", "--out", tmp_path / "model")
    assert exported.status == 0, exported.err
    written, made = (
        json.loads((folder / "model.json").read_text()) for folder in (tmp_path / "short/model", tmp_path / "model")
    )
    assert written["prior"] == made["prior"] == {"family": "mixture", "components": 2, "images": 7}
    assert written["weights"] == made["weights"]  # the SHA-256 covers the prior's numbers
    other = json.loads((run / "model" / "model.json").read_text())
    assert other["weights"] != made["weights"]


def training_posteriors(data: Path, model: Path) -> Posteriors:
    """Of all training pairs, with the encoder of a bundle, by the way of those who use the model."""
    translator = load(model, device="cpu")
    files = sorted((data / "train").iterdir())
    outputs = [np.asarray(Image.open(file))[:, 32:] for file in files]
    mu, logvar = translator.encode(outputs)
    return Posteriors(mu.astype(np.float64), logvar.astype(np.float64))


def test_it_is_that_of_the_latents_of_the_training_images(data: Path, run: Path) -> None:
    points = training_posteriors(data, run).draw(seed=0)
    assert points.shape == (7, 16, 4)
    expected = fit_mixture(points, 2, seed=0)
    found = load(run, device="cpu").prior
    assert isinstance(found, MixturePrior)
    for name in ("weights", "means", "factors"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-3, abs=1e-4)
    assert not np.allclose(found.means, 0, atol=1e-3)


def test_at_most_so_many_images_are_encoded_the_same_ones_by_the_seed(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run", steps=1, prior="gaussian", prior_images=3)
    manifest, _ = read_manifest(tmp_path / "run")
    assert manifest.prior is not None
    assert (manifest.prior.family, manifest.prior.components, manifest.prior.images) == ("gaussian", 1, 3)
    again = tandem(
        *("prior", tmp_path / "run", "--prior", "gaussian", "--prior-images", "3", "--device", "cpu"),
        *("--out", tmp_path / "again"),
    )
    assert again.status == 0, again.err
    assert files_of(tmp_path / "again") == files_of(tmp_path / "run" / "model")


def test_snapshots_and_samples_are_drawn_from_it(data: Path, run: Path, tmp_path: Path) -> None:
    health = [line for line in log_of(run) if line["kind"] == "health"][-1]
    latents = health["latents"]
    assert latents["prior"] == "a mixture of 2 Gaussians"
    assert latents["images"] == 7
    assert latents["distance"] >= 0
    assert f"use {latents['active']} of 4 dimensions" in health["verdict"]
    translator = load(run, device="cpu")
    assert health["recovered_z_chance"] == pytest.approx(translator.prior.guess_error)
    sample(run, data, "--split", "test", "--num-samples", "3", "--seed", "5", out=tmp_path / "samples")
    for record in records_of(tmp_path / "samples")[1:]:
        z = [one["z"] for one in record["series"][0]["samples"]]
        assert np.array(z) == pytest.approx(translator.prior.sample(3, seed=5), abs=1e-5)


def test_validation_measures_what_the_exported_model_gives(held_out: dict[str, Path], tmp_path: Path) -> None:
    """The numbers of ``tandem evaluate`` for the model that the run has written; others with N(0, I)."""
    found = {}
    for prior in ("mixture", "normal"):
        out = tmp_path / prior
        options: dict[str, Any] = {"validate_every": 10, "validate_metrics": "l1", "validate_samples": 3}
        train(held_out["pairs"], out, steps=10, prior=prior, learning_rate=0.02, ema_halflife_images=0, **options)
        (line,) = [line for line in log_of(out) if line["kind"] == "validation"]
        found[prior] = line["numbers"]["l1"]
        words = [
            "--split",
            "val",
            "--num-samples",
            "3",
            "--metrics",
            "l1",
            "--device",
            "cpu",
            "--out",
            out / "evaluation",
        ]
        finished = tandem("evaluate", out, held_out["pairs"], *words)
        assert finished.status == 0, finished.err
        report = json.loads((out / "evaluation" / "report.json").read_text())
        assert f'"value": {found[prior]}'[:18] in json.dumps(report)
    assert found["mixture"] != found["normal"]


def test_the_command_gives_what_training_would_have(data: Path, run: Path, finished_run: Path, tmp_path: Path) -> None:
    words = ["--prior", "mixture", "--prior-components", "2", "--device", "cpu"]
    made = tandem("prior", finished_run, *words, "--out", tmp_path / "model")
    assert made.status == 0, made.err
    assert "fitted to the latents of 7 training images" in made.err
    assert "nats from N(0, I)" in made.err
    ours, theirs = (load_file(next(folder.glob("*.safetensors"))) for folder in (tmp_path / "model", run / "model"))
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    given = tandem(
        "prior", tmp_path / "model", data, "--prior", "gaussian", "--device", "cpu", "--out", tmp_path / "two"
    )
    assert given.status == 0, given.err
    assert "nats from a mixture of 2 Gaussians" in given.err
    normal = tandem("prior", tmp_path / "two", "--prior", "normal", "--out", tmp_path / "three")
    assert normal.status == 0, normal.err
    assert files_of(tmp_path / "three") == files_of(finished_run / "model")
    assert load(tmp_path / "three").prior == NormalPrior(4)


def test_by_default_it_writes_beside_the_model(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    try:
        made = tandem("prior", tmp_path / "run", "--prior-components", "1", "--device", "cpu", "--threads", "2")
        computed_with = torch.get_num_threads()
    finally:
        torch.set_num_threads(1)
    assert made.status == 0, made.err
    assert computed_with == 2
    manifest, _ = read_manifest(tmp_path / "run" / "model-mixture")
    assert manifest.prior is not None
    assert manifest.prior.family == "gaussian"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "--out", "RUN/model"], "is the model itself"),
        (["RUN", "--out", "RUN/checkpoints"], "holds other files and no model"),
        (["RUN", "--prior", "gaussian", "--prior-components", "3"], "without --prior mixture"),
        (["RUN", "--prior-images", "0"], "at least 1"),
        (["RUN", "RUN"], "RUN"),
        (["RUN/gallery"], "no model at"),
        (["RUN/model"], "does not say where its training images are"),
    ],
)
def test_what_cannot_be_fitted(run: Path, words: list[str], message: str) -> None:
    refused = tandem("prior", *(word.replace("RUN", str(run)) for word in words))
    assert refused.status in {1, 2}
    assert message.replace("RUN", str(run)) in refused.err


@pytest.mark.parametrize(("method", "message"), [("pix2pix", "has no latent"), ("pix2pix-noise", "has no encoder")])
def test_models_without_latent_or_encoder_are_refused(data: Path, tmp_path: Path, method: str, message: str) -> None:
    options: dict[str, Any] = (
        {"encoder_filters": None, "latent_dim": None, "dropout": False} if method == "pix2pix" else {}
    )
    train(data, tmp_path / "run", steps=1, method=method, **options)
    refused = tandem("prior", tmp_path / "run")
    assert refused.status in {1, 2}
    assert message in refused.err
    health = [line for line in log_of(tmp_path / "run") if line["kind"] == "health"]
    assert all("latents" not in line for line in health)


def test_the_chosen_images_are_those_of_the_seed(data: Path, tmp_path: Path) -> None:
    from tandem.data.splits import PairedSplit  # noqa: PLC0415
    from tandem.training.prior import choose_pairs  # noqa: PLC0415

    split = open_inputs(tiny_config(), data, cache=tmp_path).splits["train"]
    assert isinstance(split, PairedSplit)
    names = [[pair.name for pair in choose_pairs(split, 3, seed=seed)] for seed in (0, 0, 1, 2)]
    assert names[0] == names[1] == sorted(names[0])
    assert len({tuple(one) for one in names}) > 1
    assert len(choose_pairs(split, 100, seed=0)) == 7


def test_two_processes_fit_it_once(data: Path, tmp_path: Path) -> None:
    """The main process alone; what the run writes goes on in one process, and is exported as it was written."""
    run = tmp_path / "run"
    options = {"steps": 5, "batch_size": 4, "keep_last": 9, **MIXTURE}
    run_forked("train", data, "--out", run, *tiny(**options), logs=tmp_path / "logs")
    written = files_of(run / "model")
    assert read_manifest(run)[0].prior is not None
    exported = tandem("export", run, "--checkpoint", "5", "--out", tmp_path / "model")
    assert exported.status == 0, exported.err
    assert files_of(tmp_path / "model") == written
    made = tandem(
        *("prior", run, "--prior", "mixture", "--prior-components", "2", "--device", "cpu"),
        *("--out", tmp_path / "made"),
    )
    assert made.status == 0, made.err
    assert files_of(tmp_path / "made") == written
    train(data, run, **(options | {"steps": 6}))
