"""The published order of a run's method, where it has been written down."""

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from tandem.bench.baselines.bicyclegan import PublishedBicycleGANStep
from tandem.bench.baselines.cyclegan import PublishedCycleGANStep
from tandem.bench.baselines.networks import has_plain_form, plain_network
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.cyclegan import CycleGANConfig
from tandem.config.run import RunConfig, to_flat
from tandem.config.specifications import NetworkSpec
from tandem.config.training import TrainingConfig
from tandem.objectives.objective import Objective

_READ = frozenset(
    {
        *("latent_dim", "injection", "upsampling", "activation", "norm", "dropout", "init", "init_gain"),
        *("conditional", "gan_loss", "pool_size", "lambda_gan", "lambda_gan2", "lambda_l1", "lambda_z", "lambda_kl"),
        *("lambda_cycle_a", "lambda_cycle_b", "lambda_identity", "lambda_gp"),
    }
)
"""Options that the published steps and their networks follow; the gradient penalty is refused with its loss."""
_OF_NETWORKS = ("generator", "encoder", "discriminator")
"""How the names of options begin that say how a network looks; whether it has a plain form is asked of it."""

BaselineStep = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def has_baseline(config: RunConfig) -> bool:
    """Whether there is a baseline that computes what `config` says.

    Its networks have a plain form, every term that it computes has a weight, and all options that the published step
    does not read are at their defaults.
    """
    method, data = config.objective, config.data
    match method:
        case BicycleGANConfig():
            specs = [method.generator_spec(data), method.encoder_spec(data), method.discriminator_spec(data)]
            computes = method.gan_loss != "wgangp"
        case CycleGANConfig():
            specs = _cyclegan_specs(method, config)
            computes = method.lambda_cycle_a > 0 and method.lambda_cycle_b > 0
        case _:
            return False
    read = {*_READ, *(name for name in to_flat(config) if name.startswith(_OF_NETWORKS))}
    given, defaults = dataclasses.asdict(method), dataclasses.asdict(type(method)())
    at_defaults = all(given[name] == value for name, value in defaults.items() if name not in read)
    at_defaults = at_defaults and config.training.clip_grad_norm == TrainingConfig().clip_grad_norm
    return computes and at_defaults and all(map(has_plain_form, specs))


def make_baseline(config: RunConfig, objective: Objective, device: torch.device) -> BaselineStep:
    """The published step on `device`, with networks of its own that begin with the weights of `objective`."""
    assert has_baseline(config), "there is no baseline for these options"
    training = config.training
    lr, betas = training.learning_rate, (training.beta1, training.beta2)
    networks = {
        name: plain_network(network.spec, network).to(device).train()  # pyright: ignore[reportArgumentType]
        for name, network in objective.networks.items()
    }
    if isinstance(config.objective, BicycleGANConfig):
        return PublishedBicycleGANStep(networks, config.objective, lr=lr, betas=betas)
    assert isinstance(config.objective, CycleGANConfig)
    return PublishedCycleGANStep(networks, config.objective, lr=lr, betas=betas)


def _cyclegan_specs(method: CycleGANConfig, config: RunConfig) -> list[NetworkSpec]:
    channels = (config.data.input_channels, config.data.output_channels)
    generators = [
        method.generator_of(config.data, in_channels=a, out_channels=b) for a, b in (channels, channels[::-1])
    ]
    return [*generators, *(method.discriminator_of(in_channels=channel) for channel in channels)]
