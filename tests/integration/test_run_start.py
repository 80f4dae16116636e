"""``--init-from`` and ``--freeze``: what a new run takes from another one, and that it resumes to the bit."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from process_groups import run_forked
from support import assert_same_run, log_of, state_of, tandem, tiny, train
from torch import Tensor
from validated import METHODS

from tandem.checkpoint.manifest import sha256_of
from tandem.training.start import read_source

STILL = {"learning_rate": 1e-12, "snapshot_every": 100}
"""Steps that leave weights as they are, to far beyond what is compared."""


def weights_of(run: Path, group: str = "network") -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state_of(run)[0].items() if name.startswith(f"{group}/")}


def newest(run: Path) -> Path:
    return max((run / "checkpoints").iterdir())


def started(data: Path, out: Path, source: Path, **options: Any) -> str:
    """What a run says of where it starts from."""
    return train(data, out, steps=1, init_from=source, **STILL | options).err


def test_a_run_gives_all_its_weights(data: Path, finished_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    said = started(data, run, finished_run)
    own = weights_of(finished_run)
    torch.testing.assert_close(weights_of(run), own, atol=1e-6, rtol=0)
    # The EMA has seen 20 images and goes on with the next two: the half-life is 5 % of 22.
    weight = 1 - 0.5 ** (2 / (0.05 * 22))
    averages = {
        name: one.lerp(own[name.replace("ema", "network")], weight)
        for name, one in weights_of(finished_run, "ema").items()
    }
    torch.testing.assert_close(weights_of(run, "ema"), averages, atol=1e-7, rtol=0)
    assert (
        f"starting from {newest(finished_run)}, step 10 of bicyclegan, SHA-256 {sha256_of(newest(finished_run))[:16]}"
        in said
    )
    for network in ("generator", "encoder", "disc_encoded", "disc_random"):
        assert f"  {network.ljust(12)}  " in said
    assert "as initialised" not in said
    start = json.loads((run / "model" / "model.json").read_text())["training"]["start"]
    assert (start["path"], start["sha256"], start["step"]) == (
        str(newest(finished_run)),
        sha256_of(newest(finished_run)),
        10,
    )
    assert start["ema_images"] == 20
    assert "started from: disc_random" in (run / "index.html").read_text()


def test_a_model_gives_what_it_has(data: Path, finished_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    said = started(data, run, finished_run / "model")
    bundle = read_source(finished_run / "model").networks["generator"]
    own = weights_of(run)
    averages = weights_of(finished_run, "ema")
    for key in bundle:
        torch.testing.assert_close(own[f"network/generator.{key}"], averages[f"ema/generator.{key}"], atol=1e-6, rtol=0)
    assert "disc_encoded  as initialised: there is no disc_encoded in model model" in said
    gone = tmp_path / "gone"
    shutil.copytree(finished_run, gone)
    shutil.rmtree(gone / "checkpoints")
    assert read_source(gone).kind == "model"


def test_other_channels_sizes_and_networks(data: Path, finished_run: Path, tmp_path: Path) -> None:
    said = started(data, tmp_path / "grey", newest(finished_run), input_channels=1, output_channels=4, latent_dim=3)
    assert "down.0.conv.weight: 7 → 4" in said
    assert "stem.weight: 3 → 4" in said
    larger = started(data, tmp_path / "larger", finished_run, size=64)
    assert "up.4.upsampling.conv.weight" in larger
    wider = started(
        data, tmp_path / "wider", finished_run, generator_filters=6, norm="batch", discriminator_norm="instance"
    )
    assert "generator     as initialised: filters is 4 there and 6 here, norm is instance there and batch here" in wider
    assert "disc_random   16 tensors taken" in wider


def test_what_does_not_fit_at_all_is_refused(held_out: dict[str, Path], finished_run: Path, tmp_path: Path) -> None:
    kind, options = METHODS["cyclegan"]
    words = tiny(**{**options, "steps": 1, "init_from": finished_run})
    refused = tandem("train", held_out[kind], "--out", tmp_path / "run", *words)
    assert refused.status == 1
    assert "nothing of it fits this run:\n  - gen_ab: there is no gen_ab in checkpoint" in refused.err
    refused = tandem(
        "train", held_out[kind], "--out", tmp_path / "none", *tiny(**options, steps=1, init_from=tmp_path / "x")
    )
    assert f"--init-from {tmp_path / 'x'}: there are no weights to start from" in refused.err


@pytest.mark.parametrize("freeze", ["", "encoder,generator.down.0-1,disc_random"])
def test_half_and_half_is_whole(data: Path, finished_run: Path, tmp_path: Path, freeze: str) -> None:
    """Stopped and continued without the weights that it has started from; what is frozen never moves, nor its EMA."""
    source = tmp_path / "source"
    shutil.copytree(finished_run, source)
    options = (
        {"init_from": source, "freeze": freeze, "seed": 5, "learning_rate": 0.001} if freeze else {"init_from": source}
    )
    train(data, tmp_path / "whole", steps=6, **options)
    train(data, tmp_path / "halves", steps=3, **options)
    shutil.rmtree(source)
    resumed = tandem("train", "--resume", tmp_path / "halves", "--steps", "6")
    assert resumed.status == 0, resumed.err
    assert_same_run(tmp_path / "whole", tmp_path / "halves")
    if not freeze:
        return
    before, after, averages = (
        weights_of(finished_run),
        weights_of(tmp_path / "whole"),
        weights_of(tmp_path / "whole", "ema"),
    )
    frozen = ("encoder.", "generator.down.0.", "generator.down.1.", "disc_random.")
    for name, tensor in after.items():
        bare = name.removeprefix("network/")
        assert torch.equal(before[name], tensor) == bare.startswith(frozen), name
        if bare.startswith(frozen[:3]):
            assert torch.equal(averages[f"ema/{bare}"], tensor)


def test_what_is_frozen_before_it_has_learnt_anything_is_said(data: Path, finished_run: Path, tmp_path: Path) -> None:
    said = started(data, tmp_path / "run", finished_run / "model", freeze="disc_random")
    assert "disc_random: weights that are as initialised are frozen" in said
    assert "disc_encoded: weights" not in said


def test_two_processes_start_from_the_same_weights(data: Path, finished_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = tiny(steps=2, batch_size=4, init_from=finished_run, freeze="generator.down.0-3,disc_encoded")
    run_forked("train", data, "--out", run, *words, logs=tmp_path / "logs")
    before, after = weights_of(finished_run), weights_of(run)
    still = {name for name in after if torch.equal(before[name], after[name])}
    assert {name for name in after if name.startswith(("network/generator.down.3.", "network/disc_encoded."))} <= still
    assert "network/generator.up.0.upsampling.conv.weight" not in still


def test_tandem_starts_from_another_run_with_other_channels_and_a_frozen_discriminator(
    data: Path, tmp_path: Path
) -> None:
    """Of every network all is taken or adapted; the discriminators judge as the other run left them."""
    own = {"method": "tandem", "batch_size": 2, "gan_from": 0.0}
    train(data, tmp_path / "source", steps=3, **own)
    said = started(data, tmp_path / "frozen", tmp_path / "source", **own, freeze="disc")
    assert said.count("tensors taken\n") == 3
    (state, metadata), (before, _) = state_of(tmp_path / "frozen"), state_of(tmp_path / "source")
    assert metadata["joining"]["joined_at"] == 0
    (line,) = (one for one in log_of(tmp_path / "frozen") if one["kind"] == "train")
    assert line["losses"].keys() == {"l1", "kl", "gan", "feature_matching", "latent"}
    assert all(torch.equal(state[key], before[key]) for key in state if key.startswith("network/disc."))
    other = {"input_channels": 1, "output_channels": 4, "latent_dim": 3, "encoder_sees_input": False}
    grey = started(data, tmp_path / "grey", tmp_path / "source", **own | other)
    assert "as initialised" not in grey
    for adapted in (
        "stem.weight: 12 → 4",
        "output.conv1.weight: 7 → 5",
        "output.conv2.weight: 3 → 4",
        "style.first.weight: 4 → 3",
        "mu.weight: 4 → 3",
    ):
        assert adapted in grey
    assert "body.conv0.weight: 28 → 16" in grey
    assert "scales.0.body.0.weight: 24 → 20" in grey
