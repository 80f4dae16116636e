"""The pairs whose latents a prior is fitted to: which, at which size, and through which encoder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from packing import facts_of
from PIL import Image
from torch import Tensor, nn

from tandem.checkpoint.bundle import FittedPrior
from tandem.config.specifications import PairEncoderSpec
from tandem.data.fit import FitRule
from tandem.data.shards.pack import pack
from tandem.data.splits import PairedSplit
from tandem.data.synthetic import write_dataset
from tandem.errors import NonFiniteError
from tandem.networks.build import build_network
from tandem.prior.distributions import NormalPrior
from tandem.prior.posteriors import Posteriors
from tandem.training.inputs import find_data
from tandem.training.prior import BATCH, FixedPairs, Study, choose_pairs

CPU = torch.device("cpu")
RULE = FitRule(size=(32, 32), preprocess="none", load_size=None, load_width=None)
NUMBER = BATCH + 3


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> PairedSplit:
    root = write_dataset(tmp_path_factory.mktemp("pairs"), size=32, num_train=NUMBER, num_val=0, num_test=0)
    found = find_data(root, paired=True)["train"]
    assert isinstance(found, PairedSplit)
    return found


def fixed(split: PairedSplit, *, direction: str = "AtoB") -> FixedPairs:
    return FixedPairs(list(split.pairs), RULE, multiple=8, direction=direction, channels=(3, 3))  # type: ignore[arg-type]


class Means(nn.Module):
    """E(b): mu = the mean of each channel, logvar = 0."""

    def forward(self, b: Tensor) -> tuple[Tensor, Tensor]:
        mu = b.mean((2, 3))
        return mu, torch.zeros_like(mu)


def half(path: str, side: int) -> np.ndarray:
    """Half of a side-by-side file in [-1, 1], read with Pillow."""
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float64)
    return pixels[:, 32 * side : 32 * (side + 1)] / 127.5 - 1


@pytest.mark.parametrize(("direction", "side"), [("AtoB", 1), ("BtoA", 0)])
def test_the_outputs_of_the_direction_are_encoded(split: PairedSplit, direction: str, side: int) -> None:
    seen: list[tuple[int, int]] = []
    pairs = fixed(split, direction=direction)
    found = pairs.encode(Means(), CPU, on_progress=lambda done, total: seen.append((done, total)))
    expected = [half(str(pair.files[0]), side).mean((0, 1)) for pair in split.pairs]
    assert found.mu == pytest.approx(np.array(expected), abs=1e-5)
    assert not found.logvar.any()
    assert seen == [(BATCH, NUMBER), (NUMBER, NUMBER)]


def test_an_encoder_of_pairs_sees_the_input_beside_it(split: PairedSplit) -> None:
    torch.manual_seed(0)
    encoder = build_network(PairEncoderSpec(in_channels=3, input_channels=3, latent_dim=2, depth=2, filters=4)).eval()
    found = fixed(split).encode(encoder, CPU)
    a, b = (
        torch.tensor(np.stack([half(str(pair.files[0]), side) for pair in split.pairs]), dtype=torch.float32)
        for side in (0, 1)
    )
    a, b = a.permute(0, 3, 1, 2), b.permute(0, 3, 1, 2)
    with torch.no_grad():
        mu, logvar = encoder(b, a)
        alone, _ = encoder(b)
    assert found.mu == pytest.approx(mu.numpy(), abs=1e-5)
    assert found.logvar == pytest.approx(logvar.numpy(), abs=1e-5)
    assert not np.allclose(found.mu, alone.numpy(), atol=1e-4)


def test_images_are_read_once(split: PairedSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = fixed(split)
    before = pairs.encode(Means(), CPU)
    monkeypatch.setattr("tandem.data.splits.Pair.read", None)
    assert np.array_equal(pairs.encode(Means(), CPU).mu, before.mu)


def test_images_that_take_much_memory_are_read_again(split: PairedSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tandem.training.prior.KEPT_BYTES", NUMBER * 32 * 32 * 6 - 1)
    pairs = fixed(split)
    before = pairs.encode(Means(), CPU)
    assert np.array_equal(pairs.encode(Means(), CPU).mu, before.mu)
    monkeypatch.setattr("tandem.data.splits.Pair.read", None)
    with pytest.raises(TypeError):
        pairs.encode(Means(), CPU)


def test_latents_that_are_not_finite_are_said_to_be(split: PairedSplit) -> None:
    class Diverged(nn.Module):
        def forward(self, b: Tensor) -> tuple[Tensor, Tensor]:
            mu = b.mean((2, 3))
            return mu, torch.full_like(mu, torch.nan)

    with pytest.raises(NonFiniteError, match="the weights have diverged"):
        fixed(split).encode(Diverged(), CPU)
    with pytest.raises(NonFiniteError, match="no prior can be fitted"):
        Study.of(Posteriors(np.eye(9) * 1e40, np.zeros((9, 9))), seed=0).fit("gaussian", 1, seed=0)


def test_of_shards_those_of_few_are_chosen(split: PairedSplit, tmp_path: Path) -> None:
    pack({"train": split}, facts_of({"train": split}), tmp_path / "packed", shard_bytes=8_000)
    shards = find_data(tmp_path / "packed", paired=True)["train"]
    assert isinstance(shards, PairedSplit)
    counts = shards.pairs.counts  # type: ignore[attr-defined]
    assert len(counts) > 4
    chosen = {pair.name for pair in choose_pairs(shards, 3, seed=0)}
    names = [pair.name for pair in shards.pairs]
    ends = np.cumsum(counts)
    touched = {int(np.searchsorted(ends, names.index(name), side="right")) for name in chosen}
    assert len(chosen) == 3
    assert len(touched) <= 4


def test_a_study_of_few_images_has_no_distance() -> None:
    study = Study.of(Posteriors(np.zeros((2, 3)), np.zeros((2, 3))), seed=0)
    assert study.facts(NormalPrior(3)).distance is None
    fitted = study.fit("mixture", "auto", seed=0)
    assert isinstance(fitted, FittedPrior)
    assert fitted.entry.family == "gaussian"
    assert study.fit("normal", "auto", seed=0) is None
