"""What a run measures at a snapshot, on networks whose numbers follow by hand; and that it changes nothing."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tandem.config.run import from_flat
from tandem.objectives.build import build_objective
from tandem.training.health import Sampling
from tandem.training.snapshot import caption_of, measure, numbers_of, sampling_state


class Affine(nn.Module):
    """factor · image + shift, in as many channels as wanted."""

    def __init__(self, factor: float, shift: float, channels: int = 3) -> None:
        super().__init__()
        self.factor, self.shift, self.channels = factor, shift, channels

    def forward(self, image: Tensor) -> Tensor:
        return (self.factor * image + self.shift).mean(1, keepdim=True).expand(-1, self.channels, -1, -1)


class Noisy(nn.Module):
    """Dropout and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, image: Tensor) -> Tensor:
        return self.dropout(image)


def flat(*values: float, channels: int = 3) -> Tensor:
    return torch.tensor(values)[:, None, None, None].expand(-1, channels, 64, 64).clone()


NONE = Sampling(z=torch.zeros(4, 0), seeds=None, real_spread=0.5)
A, B = flat(0.2, -0.4), flat(0.6, 0.0)


def test_both_ways_by_hand() -> None:
    """G_AB: x ↦ x + ¼, G_BA: x ↦ x / 2, so A → B → A gives (x + ¼) / 2 and B → A → B gives x / 2 + ¼."""
    networks = nn.ModuleDict({"gen_ab": Affine(1, 0.25), "gen_ba": Affine(0.5, 0)})
    found = measure(networks, A, B, sampling=NONE, paired=False)
    cycle_a = (abs(0.225 - 0.2) + abs(-0.075 + 0.4)) / 2
    cycle_b = (abs(0.55 - 0.6) + abs(0.25 - 0.0)) / 2
    record = found.health.as_json()
    assert record["cycle_a"] == pytest.approx(cycle_a, rel=1e-5)
    assert record["cycle_b"] == pytest.approx(cycle_b, rel=1e-5)
    assert record["change_a"] == pytest.approx(0.25, rel=1e-5)
    assert record["change_b"] == pytest.approx(0.15, rel=1e-5)
    numbers = numbers_of(found.health)
    assert numbers["cycle"] == pytest.approx((cycle_a + cycle_b) / 2, rel=1e-5)
    assert (numbers["contrast"], numbers["detail"]) == (None, None)  # the real images are flat, so there is no scale
    assert record["level"] == "info"
    assert f"A comes out {cycle_a:.3f} from where it started and B {cycle_b:.3f}" in str(record["verdict"])
    assert list(found.columns) == ["A", "A to B", "back to A", "B", "B to A", "back to B"]
    torch.testing.assert_close(found.columns["back to A"], flat(0.225, -0.075))
    torch.testing.assert_close(found.columns["back to B"], flat(0.55, 0.25))


def test_a_translation_that_changes_nothing_is_said() -> None:
    networks = nn.ModuleDict({"gen_ab": Affine(1, 0.009), "gen_ba": Affine(1, 0.5)})
    record = measure(networks, A, B, sampling=NONE, paired=False).health.as_json()
    assert record["level"] == "warning"
    assert "leaves its input nearly as it is" in str(record["verdict"])
    networks = nn.ModuleDict({"gen_ab": Affine(1, 0.011), "gen_ba": Affine(1, 0.5)})
    assert measure(networks, A, B, sampling=NONE, paired=False).health.level == "info"


def test_domains_of_other_channels_have_no_change() -> None:
    networks = nn.ModuleDict({"gen_ab": Affine(1, 0.25, 1), "gen_ba": Affine(1, 0, 3)})
    record = measure(networks, A, flat(0.6, 0.0, channels=1), sampling=NONE, paired=False).health.as_json()
    assert not {"change_a", "change_b"} & set(record)
    assert record["cycle_a"] == pytest.approx(0.25, rel=1e-5)


def test_one_way_by_hand() -> None:
    found = measure(nn.ModuleDict({"generator": Affine(0.5, 0.1)}), A, B, sampling=NONE, paired=False)
    record = found.health.as_json()
    assert record["change_a"] == pytest.approx((abs(0.2 - 0.2) + abs(-0.1 + 0.4)) / 2, rel=1e-5)
    assert record["identity_b"] == pytest.approx((abs(0.4 - 0.6) + abs(0.1)) / 2, rel=1e-5)
    assert numbers_of(found.health).keys() == {"contrast", "detail"}
    assert list(found.columns) == ["A", "A to B", "B", "B to B"]
    assert "no pairs and no way back" in str(record["verdict"])


def test_pairs_without_code_or_noise() -> None:
    found = measure(nn.ModuleDict({"generator": Affine(0.5, 0.1)}), A, B, sampling=NONE, paired=True)
    record = found.health.as_json()
    assert (
        numbers_of(found.health)["fixed_l1"]
        == record["fixed_l1"]
        == pytest.approx((abs(0.2 - 0.6) + abs(-0.1 - 0.0)) / 2, rel=1e-5)
    )
    assert (record["diversity"], record["recovered_z_error"], record["kl_per_dimension"]) == (0, None, [])
    assert record["verdict"] == "The model gives one output for an input: it has neither a latent nor dropout."
    assert list(found.columns) == ["input", "ground truth", "output"]
    networks = nn.ModuleDict({"generator": Affine(0.5, 0.1)})
    expected = "Each row is one input: the input, the ground truth, the output."
    assert caption_of(networks, sampling=NONE, paired=True) == expected


def test_dropout_is_measured_with_seeds_of_its_own() -> None:
    """The same samples at every measurement, and for every input the same masks; other draws are left alone."""
    sampling = Sampling(z=torch.zeros(3, 0), seeds=[5, 6, 7], real_spread=0.5)
    networks = nn.ModuleDict({"generator": Noisy()}).train()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found = measure(networks, flat(0.5, 0.5), B, sampling=sampling, paired=True)
    assert torch.equal(torch.get_rng_state(), before)
    again = measure(networks, flat(0.5, 0.5), B, sampling=sampling, paired=True)
    assert list(found.columns) == ["input", "ground truth", "sample 1", "sample 2", "sample 3"]
    for name, column in found.columns.items():
        assert torch.equal(column, again.columns[name])
        assert torch.equal(column[0], column[1]) or name == "ground truth"
    assert not torch.equal(found.columns["sample 1"], found.columns["sample 2"])
    assert found.health.as_json()["diversity"] > 0
    assert "Dropout is the only noise" in found.health.verdict
    assert caption_of(networks, sampling=sampling, paired=True).endswith("samples with dropout.")


OPTIONS: dict[str, dict[str, Any]] = {
    "pix2pix": {},
    "cyclegan": {"norm": "batch", "dropout": True, "generator_blocks": 1},
    "cut": {"norm": "batch", "dropout": True, "generator_blocks": 5},
    "bicyclegan": {"norm": "batch", "dropout": True, "encoder_filters": 2},
    "tandem": {"encoder_filters": 2},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_measuring_changes_nothing_of_the_state(name: str) -> None:
    """Weights, buffers, the state of every layer, and the random numbers that come next."""
    small = {"size": 64, "generator_filters": 2, "discriminator_filters": 2}
    config = from_flat({"method": name} | small | OPTIONS[name])
    objective = build_objective(config)
    networks = objective.networks.train()
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand((2, 3, 64, 64), generator=generator) for _ in range(2))
    latent_dim = config.objective.latent_dim
    sampling = Sampling(z=torch.zeros(2, latent_dim), seeds=[1, 2] if name == "pix2pix" else None, real_spread=0.5)
    state = {key: value.clone() for key, value in networks.state_dict().items()}
    layers = [(m.training, getattr(m, "track_running_stats", None)) for m in networks.modules()]
    torch.manual_seed(0)
    random = torch.get_rng_state()
    inside = networks[objective.inference_networks[0]]
    with sampling_state(networks, objective.inference_networks, noise=objective.samples_with_noise):
        assert not inside.training
        dropouts = [m.training for m in inside.modules() if isinstance(m, nn.Dropout)]
        norms = [(m.training, m.track_running_stats) for m in inside.modules() if isinstance(m, nn.BatchNorm2d)]
        noisy = name == "pix2pix"
        assert set(dropouts) == ({noisy} if name != "tandem" else set())  # which has neither
        assert set(norms) == ({(noisy, not noisy)} if name != "tandem" else set())
        measured = measure(networks, a, b, sampling=sampling, paired=config.objective.paired)
    assert all(bool(column.isfinite().all()) for column in measured.columns.values())
    assert torch.equal(torch.get_rng_state(), random)
    assert [(m.training, getattr(m, "track_running_stats", None)) for m in networks.modules()] == layers
    assert [key for key, value in networks.state_dict().items() if not torch.equal(value, state[key])] == []


def stripes(height: float, *, columns: int = 2) -> torch.Tensor:
    """An image of 16 px, ``columns`` px wide stripes of ± `height`."""
    signs = torch.where(torch.arange(16) // columns % 2 == 0, 1.0, -1.0)
    return (height * signs).expand(1, 3, 16, 16)


def test_outputs_beside_real_images() -> None:
    """Half the height is half the contrast and detail; twice as wide stripes have its contrast and fewer edges."""
    generator = nn.ModuleDict({"generator": Affine(0.5, 0)})
    paired = measure(generator, stripes(0.8), stripes(0.8), sampling=NONE, paired=True).health
    assert (paired.contrast, paired.detail) == (pytest.approx(0.5), pytest.approx(0.5))
    wide = measure(generator, stripes(0.8, columns=4), stripes(0.8), sampling=NONE, paired=False).health
    assert wide.contrast == pytest.approx(0.5)
    edges_wide, edges = 3, 7
    assert wide.detail == pytest.approx(0.5 * edges_wide / edges)
    both = nn.ModuleDict({"gen_ab": Affine(0.5, 0), "gen_ba": Affine(0.25, 0)})
    health = measure(both, stripes(0.8), stripes(0.8), sampling=NONE, paired=False).health
    assert (health.contrast, health.detail) == (pytest.approx(0.25), pytest.approx(0.25))  # that of the worse direction
