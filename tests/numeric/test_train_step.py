"""The method-independent part of a step: freezing, checks before the update, clipping, averaging."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.errors import NonFiniteError
from tandem.objectives.bicyclegan import BicycleGAN
from tandem.objectives.objective import Phase, StepTensors, Terms
from tandem.training.optimizers import make_adam
from tandem.training.step import StepOptions, train_step

X = torch.tensor([3.0, 4.0])


class TwoWeights:
    """A method of two networks with one weight vector each: loss scale · ⟨w, x⟩, so that the gradient is scale · x.

    Each loss depends on the other network as well, which the phase does not train.
    """

    def __init__(self, scales: tuple[float, float] = (1.0, 2.0), root: bool = False) -> None:
        self.networks = nn.ModuleDict({name: nn.Linear(2, 1, bias=False) for name in ("first", "second")})
        for network in self.networks.values():
            nn.init.zeros_(network.weight)  # type: ignore[arg-type]
        self.scales, self.root = scales, root
        self.joined = True
        self.phases = (Phase("one", ("first",), self.loss_one), Phase("two", ("second",), self.loss_two))
        self.inference_networks = ("first",)
        self.calls: list[str] = []

    def draw(self, _seed: int, _positions: Any) -> dict[str, Tensor]:
        return {}

    def fakes(self, _batch: StepTensors) -> None:
        self.note("fakes")

    def loss_one(self, batch: StepTensors, _fakes: None) -> Terms:
        self.note("one")
        loss = self.scales[0] * self.networks["first"](batch["x"]).sum()
        # The root of a loss of zero is zero, and its slope infinite.
        return {"linear": (loss.abs().sqrt() if self.root else loss) + 7 * self.networks["second"](batch["x"]).sum()}

    def loss_two(self, batch: StepTensors, _fakes: None) -> Terms:
        self.note("two")
        loss = self.scales[1] * self.networks["second"](batch["x"]).sum()
        return {"half": 0.5 * loss, "other_half": 0.5 * loss + 7 * self.networks["first"](batch["x"]).sum()}

    def note(self, call: str) -> None:
        self.calls.append(call)

    def weights(self) -> list[list[float]]:
        return [network.weight.flatten().tolist() for network in self.networks.values()]  # type: ignore[union-attr]


def sgd(method: TwoWeights) -> dict[str, torch.optim.Optimizer]:
    return {name: torch.optim.SGD(network.parameters(), lr=1.0) for name, network in method.networks.items()}


def test_each_phase_trains_its_networks() -> None:
    method = TwoWeights()
    terms = train_step(method, sgd(method), {"x": X})
    assert method.weights() == [[-3.0, -4.0], [-6.0, -8.0]]
    assert method.calls == ["fakes", "one", "two"]
    assert list(terms) == ["linear", "half", "other_half"]
    assert not any(term.requires_grad for term in terms.values())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in method.networks.parameters())


@pytest.mark.parametrize(("limit", "expected"), [(0.0, 5.0), (1.0, 1.0), (100.0, 5.0)])
def test_clipping_is_by_the_norm_of_each_network(limit: float, expected: float) -> None:
    """The gradients are (3, 4) and 2·(3, 4): clipped they keep their direction."""
    method = TwoWeights()
    train_step(method, sgd(method), {"x": X}, options=StepOptions(clip_grad_norm=limit))
    first, second = method.weights()
    assert first == pytest.approx([-0.6 * expected, -0.8 * expected], rel=1e-5)
    double = min(10.0, limit) if limit else 10.0
    assert second == pytest.approx([-0.6 * double, -0.8 * double], rel=1e-5)


def test_gradients_are_averaged_between_backward_and_update() -> None:
    method, seen = TwoWeights(), []

    def average(tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            seen.append(tensor.flatten().tolist())
            tensor.mul_(0.5)

    terms = train_step(method, sgd(method), {"x": X}, all_reduce=average)
    assert seen == [[3.0, 4.0], [0.0], [6.0, 8.0], [0.0, -87.5]]
    assert [term.item() for term in terms.values()] == [0.0, 0.0, -43.75]
    assert method.weights() == [[-1.5, -2.0], [-3.0, -4.0]]


def test_averaging_comes_before_the_check() -> None:
    """A process that is fine must stop with one that is not."""
    method = TwoWeights()

    def average(tensors: Sequence[Tensor]) -> None:
        tensors[0].fill_(float("nan"))

    with pytest.raises(NonFiniteError, match="phase 'one': the gradient of first is not finite"):
        train_step(method, sgd(method), {"x": X}, all_reduce=average)
    assert method.weights() == [[0.0, 0.0], [0.0, 0.0]]


def test_a_gradient_that_is_not_finite_though_the_loss_is() -> None:
    method = TwoWeights(root=True)
    with pytest.raises(NonFiniteError, match=r"phase 'one': the gradient of first is not finite .all loss terms are"):
        train_step(method, sgd(method), {"x": X})
    assert method.weights() == [[0.0, 0.0], [0.0, 0.0]]


def test_the_second_phase_is_named_and_not_updated() -> None:
    method = TwoWeights(scales=(1.0, float("inf")))
    with pytest.raises(NonFiniteError, match="phase 'two': the loss terms half, other_half are not finite"):
        train_step(method, sgd(method), {"x": X})
    assert method.weights() == [[-3.0, -4.0], [0.0, 0.0]]


def test_autocast_covers_fakes_and_losses_but_not_the_update() -> None:
    active: list[bool] = []
    inside: list[tuple[str, bool]] = []

    @contextlib.contextmanager
    def autocast() -> Iterator[None]:
        active.append(True)
        yield
        active.pop()

    class Noting(TwoWeights):
        def note(self, call: str) -> None:
            inside.append((call, bool(active)))

    method = Noting()
    optimizers = sgd(method)
    for optimizer in optimizers.values():
        optimizer.register_step_pre_hook(lambda *_: inside.append(("update", bool(active))))
    train_step(method, optimizers, {"x": X}, options=StepOptions(autocast=autocast))
    assert inside == [("fakes", True), ("one", True), ("update", False), ("two", True), ("update", False)]


def bicyclegan(**options: Any) -> tuple[BicycleGAN, dict[str, torch.optim.Optimizer], dict[str, Tensor]]:
    sizes = {"latent_dim": 2, "generator_filters": 2, "encoder_filters": 2, "discriminator_filters": 2}
    method = BicycleGAN(BicycleGANConfig(**(sizes | options)), DataConfig(size=64))
    method.initialise(0)
    optimizers = {name: make_adam(n.parameters(), lr=1e-3, betas=(0.5, 0.999)) for name, n in method.networks.items()}
    generator = torch.Generator().manual_seed(0)
    batch = {name: torch.rand((4, 3, 64, 64), generator=generator) for name in ("a", "b")}
    batch |= method.draw(0, range(4))
    return method, optimizers, batch  # type: ignore[return-value]


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Networks of which a single bit is another."""
    return {key.partition(".")[0] for key, value in before.items() if not torch.equal(value, after[key])}


def in_first_half(batch: dict[str, Tensor]) -> None:
    batch["b"][0, 0, 5, 5] = float("nan")


def in_second_half(batch: dict[str, Tensor]) -> None:
    batch["b"][3, 0, 5, 5] = float("inf")


def in_code(batch: dict[str, Tensor]) -> None:
    batch["z_random"][0, 0] = float("nan")


@pytest.mark.parametrize(
    ("damage", "order", "message", "updated"),
    [
        (in_first_half, "generator_first", "phase 'generator': the loss terms .*gan_encoded.*l1", set()),
        (in_first_half, "discriminator_first", "phase 'discriminator': the loss term disc_encoded is not", set()),
        (in_code, "generator_first", "phase 'generator': the loss terms latent, gan_random are not finite", set()),
        (
            in_second_half,
            "generator_first",
            "phase 'discriminator': the loss term disc_random is not finite .disc_encoded [12]",
            {"generator", "encoder"},
        ),
    ],
)
def test_a_bad_batch_is_refused_before_the_update(
    damage: Callable[[dict[str, Tensor]], None], order: str, message: str, updated: set[str]
) -> None:
    # Instance norm keeps the samples of the shared forward apart, so that only the damaged ones are named.
    method, optimizers, batch = bicyclegan(update_order=order)
    train_step(method, optimizers, batch)
    before = copy.deepcopy(method.networks.state_dict())
    damage(batch)
    with pytest.raises(NonFiniteError, match=message):
        train_step(method, optimizers, batch)
    assert changed(before, method.networks.state_dict()) == updated


def test_discriminator_phase_leaves_the_generator_alone() -> None:
    method, optimizers, batch = bicyclegan()
    for name in ("generator", "encoder"):
        optimizers[name] = torch.optim.SGD(method.networks[name].parameters(), lr=0.0)
    before = copy.deepcopy(method.networks.state_dict())
    train_step(method, optimizers, batch)
    assert changed(before, method.networks.state_dict()) == {"disc_encoded", "disc_random"}
    method, optimizers, batch = bicyclegan()
    for name in ("disc_encoded", "disc_random"):
        optimizers[name] = torch.optim.SGD(method.networks[name].parameters(), lr=0.0)
    before = copy.deepcopy(method.networks.state_dict())
    train_step(method, optimizers, batch)
    assert changed(before, method.networks.state_dict()) == {"generator", "encoder"}


def test_after_a_refused_batch_a_good_one_trains_as_if_nothing_had_been() -> None:
    """Nothing of the refused step stays behind: no gradient, no frozen network."""
    plain, plain_optimizers, batch = bicyclegan()
    train_step(plain, plain_optimizers, batch)
    train_step(plain, plain_optimizers, batch)
    method, optimizers, _ = bicyclegan()
    train_step(method, optimizers, batch)
    bad = {name: value.clone() for name, value in batch.items()}
    in_first_half(bad)
    with pytest.raises(NonFiniteError):
        train_step(method, optimizers, bad)
    train_step(method, optimizers, batch)
    assert changed(plain.networks.state_dict(), method.networks.state_dict()) == set()
