"""Freezing by name: what stays as it is to the bit, which phases a step then has, and names that there are not."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tandem.config.run import from_flat
from tandem.errors import ConfigError
from tandem.training.setup import make_state
from tandem.training.state import TrainingState
from tandem.training.step import train_step

SMALL: dict[str, Any] = {"generator_filters": 4, "discriminator_filters": 4, "size": 32, "device": "cpu"}
METHODS: dict[str, dict[str, Any]] = {
    "bicyclegan": {"method": "bicyclegan", "encoder_filters": 4, "learning_rate": 0.01},
    "pix2pix": {"method": "pix2pix", "size": 64, "norm": "batch"},
    "cyclegan": {"method": "cyclegan", "generator_blocks": 1, "norm": "batch"},
    "cut": {"method": "cut", "nce_filters": 4, "nce_patches": 4},
    "tandem": {"method": "tandem", "encoder_filters": 4, "learning_rate": 0.01, "gan_from": 0.5},
}


def state_of(method: str, names: str, **options: Any) -> TrainingState:
    return make_state(from_flat(SMALL | METHODS[method] | {"freeze": names} | options), torch.device("cpu"))


def stepped(state: TrainingState, *, size: int = 32, steps: int = 1) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """All tensors of the networks before and after some steps."""
    before = {name: tensor.clone() for name, tensor in state.objective.networks.state_dict().items()}
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        batch = {name: 2 * torch.rand((2, 3, size, size), generator=generator) - 1 for name in ("a", "b")}
        batch |= state.objective.draw(0, range(2))
        if state.joining is not None:
            state.objective.joined = state.joining.has_joined(step, steps)
        train_step(state.objective, state.optimizers, batch)
    return before, state.objective.networks.state_dict()


@pytest.mark.parametrize(
    ("method", "names", "prefixes"),
    [
        ("bicyclegan", "encoder", ("encoder.",)),
        (
            "bicyclegan",
            "generator.down.0-2, generator.up.4",
            ("generator.down.0", "generator.down.1", "generator.down.2"),
        ),
        ("bicyclegan", "disc_encoded.sub_discriminators.1", ("disc_encoded.sub_discriminators.1.",)),
        ("pix2pix", "generator.down,disc", ("generator.down.", "disc.")),
        ("cyclegan", "gen_ba,disc_a", ("gen_ba.", "disc_a.")),
        ("cut", "projector.heads.0-1", ("projector.heads.0.", "projector.heads.1.")),
        ("tandem", "disc", ("disc.",)),
        ("tandem", "encoder, generator.encode.0", ("encoder.", "generator.encode.0.")),
        ("tandem", "generator", ("generator.",)),
    ],
)
def test_frozen_weights_and_statistics_stay_and_others_move(method: str, names: str, prefixes: tuple[str, ...]) -> None:
    before, after = stepped(state_of(method, names), size=METHODS[method].get("size", 32), steps=2)
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name for name in moved if name.startswith(prefixes)} == set()
    assert any(name.startswith("encoder" if names == "generator" else "gen") for name in moved)
    assert len(moved) > len(after) / 10


def test_what_is_trained_gets_the_same_gradient() -> None:
    """Freezing the outer levels changes nothing for the inner ones in the first step."""
    (_, free), (_, frozen) = stepped(state_of("bicyclegan", "")), stepped(state_of("bicyclegan", "generator.down.0-1"))
    name = "generator.down.3.conv.weight"
    assert torch.equal(free[name], frozen[name])


@pytest.mark.parametrize(
    ("method", "names", "phases"),
    [
        ("bicyclegan", "disc_encoded,disc_random", [("generator", ("generator", "encoder"))]),
        ("bicyclegan", "encoder,disc_random", [("generator", ("generator",)), ("discriminator", ("disc_encoded",))]),
        ("cyclegan", "disc_a,disc_b,gen_ba", [("generator", ("gen_ab",))]),
        ("pix2pix", "disc", [("generator", ("generator",))]),
        ("cut", "projector", [("discriminator", ("disc",)), ("generator", ("generator",))]),
        ("tandem", "disc", [("generator", ("generator", "encoder"))]),
        ("tandem", "encoder", [("generator", ("generator",)), ("discriminator", ("disc",))]),
    ],
)
def test_phases_with_nothing_to_train_are_left_out(method: str, names: str, phases: list[Any]) -> None:
    state = state_of(method, names)
    assert [(phase.name, phase.networks) for phase in state.objective.phases] == phases
    trained = {name for _, networks in phases for name in networks}
    assert state.optimizers.keys() == trained
    stepped(state, size=METHODS[method].get("size", 32))
    state.step = 1
    again = state_of(method, names)
    again.load(state.tensors(), state.metadata())  # also without the pools that nobody fills
    assert again.tensors().keys() == state.tensors().keys()
    if method == "cyclegan":
        assert again.objective.pools == {}


def test_frozen_discriminators_judge_once_they_have_joined() -> None:
    """They do not learn, but the generator learns from them, as from others."""
    states = [state_of("tandem", names) for names in ("disc", "")]
    losses = []
    for state in states:
        assert state.joining is not None
        assert [state.joining.has_joined(step, 10) for step in (4, 5)] == [False, True]
        state.objective.joined = True
        generator = torch.Generator().manual_seed(0)
        batch = {name: 2 * torch.rand((2, 3, 32, 32), generator=generator) - 1 for name in ("a", "b")}
        losses.append(train_step(state.objective, state.optimizers, batch | state.objective.draw(0, range(2))))
    frozen, free = losses
    assert list(frozen) == ["l1", "kl", "gan", "feature_matching", "latent"]
    assert [name for name in frozen if not torch.equal(frozen[name], free[name])] == []
    names = [name for name, _ in states[0].objective.networks.named_parameters() if not name.startswith("disc")]
    assert all(torch.equal(*(s.objective.networks.get_parameter(name) for s in states)) for name in names)


@pytest.mark.parametrize(
    ("method", "names", "message"),
    [
        (
            "bicyclegan",
            "encodr",
            "there is no encodr. There are generator, encoder, disc_encoded, disc_random. Did you me",
        ),
        (
            "bicyclegan",
            "generator.dwn.0",
            "there is no generator.dwn. In generator there are down, up. Did you mean down?",
        ),
        ("bicyclegan", "generator.down.3-9", "there is no generator.down.5. generator.down has the numbers 0 to 4."),
        ("bicyclegan", "generator.down.3-1", "3-1 is no range such as 0-3"),
        ("bicyclegan", "generator.up.1.activation", "holds no weights"),
        ("bicyclegan", "generator.down.0.conv.weight.x", "there is no generator.down.0.conv.weight.x"),
        ("bicyclegan", " , ", "names nothing. There are generator"),
        ("bicyclegan", "generator,encoder", "leaves nothing of the model to train"),
        ("cut", "generator", "leaves nothing of the model to train"),
        ("cyclegan", "gen_ab,gen_ba", "leaves nothing of the model to train"),
    ],
)
def test_names_that_there_are_not(method: str, names: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        state_of(method, names)
    assert message in str(refused.value)
    assert refused.value.option == "--freeze"
