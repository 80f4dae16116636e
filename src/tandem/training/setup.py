"""From a configuration to what a run starts with."""

from collections.abc import Callable

import torch

from tandem.config.run import RunConfig
from tandem.objectives.build import build_objective
from tandem.objectives.objective import Objective
from tandem.training.device import image_layout, make_scaler
from tandem.training.ema import EMA
from tandem.training.freeze import freeze
from tandem.training.joining import Joining
from tandem.training.optimizers import make_adam
from tandem.training.recompute import recompute_activations
from tandem.training.state import TrainingState
from tandem.training.step import owned_once

MakeObjective = Callable[[RunConfig], Objective]
"""Builds a method with its initial weights."""


def make_state(
    config: RunConfig,
    device: torch.device,
    *,
    micro_batches: int = 1,
    make_objective: MakeObjective = build_objective,
) -> TrainingState:
    """The state of a run before its first step, on `device`.

    Args:
        config: All options.
        device: Where it computes.
        micro_batches: Equal micro-batches that every batch is split into.
        make_objective: Builds the method, with its initial weights.

    Raises:
        ConfigError: ``--freeze`` names what there is not, or leaves nothing to train.
    """
    training = config.training
    objective = make_objective(config)
    owned_once(objective)
    objective.micro_batches = micro_batches
    # Before anything is frozen: generators are judged later by discriminators that do not learn, too.
    joining = Joining.of(objective, config.objective)
    if training.freeze:
        freeze(objective, training.freeze)
    objective.networks.to(device=device, memory_format=image_layout(device)).train()  # pyright: ignore[reportCallIssue]
    if objective.features is not None:
        objective.features.to(device=device, memory_format=image_layout(device))  # pyright: ignore[reportCallIssue]
    optimizers = {
        name: make_adam(network.parameters(), lr=training.learning_rate, betas=(training.beta1, training.beta2))
        for name, network in objective.networks.items()
        if any(parameter.requires_grad for parameter in network.parameters())
    }
    ema_networks = {name: objective.networks[name] for name in objective.inference_networks}
    halflife = training.ema_halflife_images
    ema = EMA(ema_networks, halflife_images=halflife) if halflife else None
    if training.recompute_activations:  # last, because the average must not take it over
        for network in objective.networks.values():
            recompute_activations(network)
    scaler = make_scaler(device, training.precision)
    return TrainingState(objective, optimizers, ema, scaler=scaler, joining=joining)
