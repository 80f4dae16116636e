"""The published order of a run's method, where it has been written down."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from tandem.bench.baselines.bicyclegan import PublishedBicycleGANStep
from tandem.bench.baselines.cyclegan import PublishedCycleGANStep
from tandem.bench.baselines.networks import has_plain_form, plain_network
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.cyclegan import CycleGANConfig
from tandem.config.run import RunConfig
from tandem.config.specifications import NetworkSpec
from tandem.objectives.objective import Objective

BaselineStep = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def has_baseline(config: RunConfig) -> bool:
    """Whether there is a baseline that computes what `config` says."""
    method, data = config.objective, config.data
    match method:
        case BicycleGANConfig():
            order = (
                method.update_order,
                method.kl_reduction,
                method.shared_discriminator,
                method.latent_trains_encoder,
            )
            extra = method.gan_loss == "wgangp" or method.lambda_l1_random or method.lambda_ms
            specs = [method.generator_spec(data), method.encoder_spec(data), method.discriminator_spec(data)]
            plain = order == ("generator_first", "sum", False, False) and not extra
        case CycleGANConfig():
            specs = _cyclegan_specs(method, config)
            plain = method.lambda_cycle_a > 0 and method.lambda_cycle_b > 0
        case _:
            return False
    return plain and not config.training.clip_grad_norm and all(map(has_plain_form, specs))


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
