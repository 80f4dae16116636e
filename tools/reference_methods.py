"""What `check_reference.py` has to know of each method: its objective, official names, tensors and losses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from official_bicyclegan import from_official
from official_pix2pix import cyclegan_from_official, pix2pix_from_official
from reference_cut import build_cut, cut_draws, cut_keys, cut_tensors
from tandem.checkpoint.official import official_key_map
from tandem.config.data import DataConfig
from tandem.objectives.bicyclegan import BicycleGAN
from tandem.objectives.cyclegan import CycleGAN
from tandem.objectives.objective import Objective, Phase, StepTensors, Terms
from tandem.objectives.pix2pix import Pix2Pix

Tensors = dict[str, Tensor | None]
Loss = Callable[[Terms], Tensor | None]
"""From our terms to a loss as the official code logs it; None if the method's options leave it out."""


def term(*names: str, factor: float = 1.0) -> Loss:
    """The sum of those of our terms that there are, times `factor`."""

    def loss(terms: Terms) -> Tensor | None:
        found = [terms[name] for name in names if name in terms]
        return factor * torch.stack(found).sum() if found else None

    return loss


def nce(name: str) -> Loss:
    """PatchNCE before its mean with that of the identity term, where there is one."""
    return lambda terms: term(name, factor=2.0 if "nce_identity" in terms else 1.0)(terms)


def official_keys(network: nn.Module) -> dict[str, str]:
    """The official state-dict keys by ours."""
    return official_key_map(network.spec, list(network.state_dict()))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Method:
    """A method as the official implementation names it.

    Attributes:
        build: From the official options (dropout off), the size and the batch size to objective and data options.
        networks: Our name of each official network.
        losses: Each official loss from our terms.
        draws: From the objective and a case's inputs of one step (float64, or integers) to what `Objective.draw` draws.
        tensors: The tensors of a forward by their official names, from the objective and a batch.
        keys: The official state-dict keys of a network by ours.
    """

    build: Callable[[Mapping[str, Any], int, int], tuple[Objective, DataConfig]]
    networks: Mapping[str, str]
    losses: Mapping[str, Loss]
    draws: Callable[[Any, Mapping[str, Tensor]], dict[str, Tensor]]
    tensors: Callable[[Any, StepTensors], Tensors]
    keys: Callable[[nn.Module], dict[str, str]] = official_keys


def _build_bicyclegan(options: Mapping[str, Any], size: int, batch_size: int) -> tuple[Objective, DataConfig]:
    config, data = from_official({**options, "use_dropout": False}, size=size)
    objective = BicycleGAN(config, data)
    if config.discriminator_scales == 1:
        objective.phases = tuple(_scaled(phase, batch_size // 2) for phase in objective.phases)
    if not options.get("netD", "_multi").endswith("_multi"):
        _drop_last_padding(objective)
    return objective, data


def _scaled(phase: Phase, half: int) -> Phase:
    # With one discriminator the reference's loop over them runs over the samples of the batch instead, and sums them.
    def loss(batch: StepTensors, fakes: Any) -> Terms:
        terms = phase.loss(batch, fakes)
        return {k: v * half if k.startswith(("gan_", "disc_")) else v for k, v in terms.items()}

    return replace(phase, loss=loss)


def _drop_last_padding(objective: BicycleGAN) -> None:
    # The reference's plain (not multi-scale) PatchGAN has no padding in its last convolution.
    for name, network in objective.networks.items():
        if name.startswith("disc_"):
            network.sub_discriminators[0][-1].conv.padding = (0, 0)  # type: ignore[index, union-attr]


def _bicyclegan_draws(objective: BicycleGAN, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    del objective
    eps, z_random = inputs["eps"], inputs["z_random"]
    return {"eps": eps, "z_random": z_random, "mix": torch.full((len(eps),), 0.5, dtype=torch.float64)}


def _bicyclegan_tensors(objective: BicycleGAN, batch: StepTensors) -> Tensors:
    fakes = objective.fakes(batch)
    tensors: Tensors = {"fake_B_encoded": fakes.encoded, "fake_B_random": fakes.random}
    tensors |= {"mu": fakes.mu, "logvar": fakes.logvar}
    if "encoder" in objective.networks and fakes.random is not None:
        tensors["mu_of_fake_B_random"] = objective.networks["encoder"](fakes.random)[0]
    return tensors


def _no_draws(objective: Objective, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    del objective, inputs
    return {}


def _build_pix2pix(options: Mapping[str, Any], size: int, batch_size: int) -> tuple[Objective, DataConfig]:
    del batch_size
    config, data = pix2pix_from_official({**options, "no_dropout": True}, size=size)
    return Pix2Pix(config, data), data


def _build_cyclegan(options: Mapping[str, Any], size: int, batch_size: int) -> tuple[Objective, DataConfig]:
    del batch_size
    config, data = cyclegan_from_official({**options, "no_dropout": True, "pool_size": 0}, size=size)
    return CycleGAN(config, data), data


def _cyclegan_tensors(objective: CycleGAN, batch: StepTensors) -> Tensors:
    fakes = objective.fakes(batch)
    return {
        "fake_B": fakes.b,
        "fake_A": fakes.a,
        "rec_A": fakes.rec_a,
        "rec_B": fakes.rec_b,
        # The official idt_A is what G_A makes of B.
        "idt_A": fakes.idt_b,
        "idt_B": fakes.idt_a,
    }


METHODS: Mapping[str, Method] = {
    "bicyclegan": Method(
        build=_build_bicyclegan,
        networks={"G": "generator", "E": "encoder", "D": "disc_encoded", "D2": "disc_random"},
        losses={
            "G_GAN": term("gan_encoded"),
            "G_GAN2": term("gan_random"),
            "G_L1": term("l1"),
            "kl": term("kl"),
            "z_L1": term("latent"),
            "D": term("disc_encoded"),
            "D2": term("disc_random"),
        },
        draws=_bicyclegan_draws,
        tensors=_bicyclegan_tensors,
    ),
    "pix2pix": Method(
        build=_build_pix2pix,
        networks={"G": "generator", "D": "disc"},
        losses={
            "G_GAN": term("gan"),
            "G_L1": term("l1"),
            # The official log has these before they are halved.
            "D_real": term("disc_real", factor=2.0),
            "D_fake": term("disc_fake", factor=2.0),
        },
        draws=_no_draws,
        tensors=lambda objective, batch: {"fake_B": objective.fakes(batch).b},
    ),
    "cyclegan": Method(
        build=_build_cyclegan,
        # The official D_A sees what G_A makes, which is domain B.
        networks={"G_A": "gen_ab", "G_B": "gen_ba", "D_A": "disc_b", "D_B": "disc_a"},
        losses={
            "G_A": term("gan_ab"),
            "G_B": term("gan_ba"),
            "cycle_A": term("cycle_a"),
            "cycle_B": term("cycle_b"),
            "idt_A": term("identity_b"),
            "idt_B": term("identity_a"),
            "D_A": term("disc_b"),
            "D_B": term("disc_a"),
        },
        draws=_no_draws,
        tensors=_cyclegan_tensors,
    ),
    "cut": Method(
        build=build_cut,
        networks={"G": "generator", "F": "projector", "D": "disc"},
        losses={
            "G": term("gan", "nce", "nce_identity"),
            "G_GAN": term("gan"),
            "NCE": nce("nce"),
            "NCE_Y": nce("nce_identity"),
            "D": term("disc_real", "disc_fake"),
            "D_real": term("disc_real", factor=2.0),
            "D_fake": term("disc_fake", factor=2.0),
        },
        draws=cut_draws,
        tensors=cut_tensors,
        keys=cut_keys,
    ),
}
"""The methods that a case may be of, by the name in its ``case.json``."""
