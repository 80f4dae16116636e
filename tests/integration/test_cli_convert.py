"""Weights of the official code as a model: sampled, measured, trained on; and a run's weights given out."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from support import sample, state_of, tandem, train

from tandem.checkpoint.bundle import load_bundle
from tandem.checkpoint.official import official_key_map
from tandem.config.specifications import EncoderSpec, NetworkSpec, UNetSpec
from tandem.networks.build import build_network

GENERATOR = UNetSpec(in_channels=3, out_channels=3, latent_dim=4, depth=5, filters=4)
ENCODER = EncoderSpec(in_channels=3, latent_dim=4, depth=2, filters=4)
STILL = {"learning_rate": 1e-12, "snapshot_every": 100}


def saved(path: Path, spec: NetworkSpec) -> Path:
    torch.manual_seed(0)
    state = build_network(spec).state_dict()
    keys = official_key_map(spec, list(state))
    torch.save({keys[ours]: value for ours, value in state.items()}, path)
    return path


def test_a_converted_model_is_a_model(data: Path, tmp_path: Path) -> None:
    files = [saved(tmp_path / "latest_net_E.pth", ENCODER), saved(tmp_path / "latest_net_G.pth", GENERATOR)]
    model = tmp_path / "model"
    finished = tandem("convert", *files, "--to", model, "--direction", "BtoA")
    assert finished.status == 0, finished.err
    assert "latest_net_G.pth (generator): U-Net of 5 levels, z of 4 before every down convolution" in finished.err
    assert f"a bicyclegan model for 32×32 px, BtoA: {model}" in finished.err
    Image.fromarray(np.full((40, 40, 3), 99, np.uint8)).save(tmp_path / "drawing.png")
    sample(model, tmp_path / "drawing.png", "--num-samples", "2", out=tmp_path / "samples")
    assert (tmp_path / "samples" / "index.html").is_file()
    measured = tandem(
        *("evaluate", model, data, "--metrics", "ssim,contrast", "--num-samples", "2", "--device", "cpu"),
        *("--out", tmp_path / "evaluation"),
    )
    assert measured.status == 0, measured.err
    begun = train(data, tmp_path / "run", steps=1, init_from=model, direction="BtoA", **STILL)
    for network in ("generator", "encoder"):
        assert f"  {network.ljust(12)}  " in begun.err
    assert "encoder       as initialised" not in begun.err
    state = state_of(tmp_path / "run")[0]
    for name, network in load_bundle(model)[1].items():
        for key, value in network.state_dict().items():
            torch.testing.assert_close(state[f"network/{name}.{key}"], value, atol=1e-6, rtol=0)
    manifest = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert manifest["training"]["start"]["path"] == str(model)


def test_a_run_is_written_for_the_official_code_and_comes_back(finished_run: Path, tmp_path: Path) -> None:
    """Out of the checkpoint and out of the model, which is the same here; and back to the same bits."""
    folders = [tmp_path / "of-run", tmp_path / "of-model"]
    for source, folder in zip((finished_run, finished_run / "model"), folders, strict=True):
        written = tandem("export", source, "--to", "official", "--out", folder)
        assert written.status == 0, written.err
        assert sorted(path.name for path in folder.iterdir()) == ["latest_net_E.pth", "latest_net_G.pth"]
    for name in ("latest_net_E.pth", "latest_net_G.pth"):
        of_run, of_model = (torch.load(folder / name, weights_only=True) for folder in folders)
        assert all(torch.equal(of_run[key], value) for key, value in of_model.items())
    back = tmp_path / "back"
    assert tandem("convert", *sorted(folders[0].iterdir()), "--to", back).status == 0
    (before, networks), (after, again) = load_bundle(finished_run), load_bundle(back)
    assert after.networks == before.networks
    for name, network in networks.items():
        found = again[name].state_dict()
        assert all(torch.equal(found[key], value) for key, value in network.state_dict().items())


def test_what_is_not_written_for_the_official_code(data: Path, finished_run: Path, tmp_path: Path) -> None:
    assert "--to official needs --out" in tandem("export", finished_run, "--to", "official").err
    model = finished_run / "model"
    refused = tandem("export", model, "--to", "official", "--checkpoint", "3", "--out", tmp_path / "x")
    assert f"--checkpoint 3: {model} holds no checkpoints" in refused.err
    run = tmp_path / "tandem"
    options = {"method": "tandem", "injection": None, "discriminator_filters": None, "generator_filters": 8}
    train(data, run, steps=1, batch_size=2, snapshot_every=100, **options)
    refused = tandem("export", run, "--to", "official", "--out", tmp_path / "x")
    assert refused.status == 1
    assert "generator of this model (residual_unet) is no network of an official implementation" in refused.err
    assert not (tmp_path / "x").exists()
