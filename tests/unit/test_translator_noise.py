"""Translating with dropout as noise."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tandem.inference.translator import load


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_frames_share_one_dropout(make_bundle: Callable[..., Path]) -> None:
    """With dropout as noise equal frames have equal outputs, however many go together; another seed, others."""
    options = {"latent_dim": 0, "injection": "none", "depth": 6, "dropout": True}
    folder = make_bundle(with_encoder=False, generator=options, size=(64, 64))
    manifest = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(manifest | {"samples_with_noise": True}))
    translator = load(folder, device="cpu")
    frames, none = np.stack([picture(64, 64)] * 3), np.empty((3, 0), np.float32)
    outputs = translator.translate_frames(frames, none, seed=1)
    assert np.array_equal(outputs[0], outputs[1])
    assert np.array_equal(outputs[0], translator.translate_frames(frames[:1], none[:1], seed=1)[0])
    assert not np.array_equal(outputs, translator.translate_frames(frames, none, seed=2))
    first, second = translator(frames[0], 2, output="array")
    assert not np.array_equal(first, second)
