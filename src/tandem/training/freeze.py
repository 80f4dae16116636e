"""Freezing weights by name: what is frozen gets no gradient and no update, and its running statistics stay too.

A phase whose networks are frozen altogether is left out of the step, and what only it needs with it (image pools). A
run that leaves nothing of its model to train is refused.
"""

import dataclasses
import logging
import re
from collections.abc import Iterator
from itertools import product

from torch import nn

from tandem.errors import ConfigError, nearest
from tandem.networks.synchronised import SynchronisedBatchNorm
from tandem.objectives.objective import Objective

MOST_NUMBERS = 4096
_RANGE = re.compile(r"(\d{1,6})-(\d{1,6})")

log = logging.getLogger(__name__)


def freeze(objective: Objective, names: str) -> None:
    """Freeze the weights that `names` stands for, and take phases that have nothing left to train out of the step.

    Args:
        objective: The method; its networks and phases change.
        names: Networks and parts of them, separated by commas: ``encoder, generator.down.0-3``.

    Raises:
        ConfigError: There is no such part, it holds no weights, or nothing of the model is left to train.
    """
    paths = [path for name in names.split(",") if name.strip() for path in _paths(objective.networks, name.strip())]
    if not paths:
        raise ConfigError(f"--freeze names nothing. {_known(objective.networks, '')}", option="--freeze")
    for path in paths:
        part = _part(objective.networks, path)
        assert part is not None, "_paths gives what there is"
        part.requires_grad_(False)
    for module in objective.networks.modules():
        if isinstance(module, SynchronisedBatchNorm):
            module.follows = _is_trained(module)
    _leave_out_phases(objective)
    for name, network in objective.networks.items():
        frozen = sum(not parameter.requires_grad for parameter in network.parameters())
        if frozen:
            log.info("frozen: %d of the %d weight tensors of %s", frozen, len(list(network.parameters())), name)


def _leave_out_phases(objective: Objective) -> None:
    trained = {name for name, network in objective.networks.items() if _is_trained(network)}
    if not trained & set(objective.inference_networks):
        raise ConfigError(
            "--freeze leaves nothing of the model to train: all weights of "
            f"{', '.join(objective.inference_networks)} are frozen.",
            option="--freeze",
        )
    kept = []
    for phase in objective.phases:
        networks = tuple(name for name in phase.networks if name in trained)
        if networks:
            kept.append(dataclasses.replace(phase, networks=networks))
        else:
            log.info("the phase '%s' has nothing to train and is left out of the steps", phase.name)
    objective.phases = tuple(kept)
    if not any(phase.uses_pools for phase in kept):
        objective.pools = {}


def _is_trained(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _paths(networks: nn.ModuleDict, name: str) -> Iterator[str]:
    """The parts that a name with ranges stands for, each of which exists and holds weights."""
    choices = []
    for word in name.split("."):
        found = _RANGE.fullmatch(word)
        numbers = range(int(found[1]), int(found[2]) + 1) if found else None
        if numbers is not None and not 0 < len(numbers) <= MOST_NUMBERS:
            raise ConfigError(f"--freeze {name}: {word} is no range such as 0-3.", option="--freeze")
        choices.append([word] if numbers is None else [str(number) for number in numbers])
    for words in product(*choices):
        for end in range(1, len(words) + 1):
            if _part(networks, ".".join(words[:end])) is None:
                before = ".".join(words[: end - 1])
                raise ConfigError(
                    f"--freeze {name}: there is no {'.'.join(words[:end])}. {_known(networks, before, words[end - 1])}",
                    option="--freeze",
                )
        path = ".".join(words)
        part = _part(networks, path)
        if isinstance(part, nn.Module) and not any(True for _ in part.parameters()):
            raise ConfigError(f"--freeze {name}: {path} holds no weights.", option="--freeze")
        yield path


def _part(networks: nn.ModuleDict, path: str) -> nn.Module | nn.Parameter | None:
    part: nn.Module | nn.Parameter = networks
    for word in path.split("."):
        found = _inside(part).get(word)
        if found is None:
            return None
        part = found
    return part


def _inside(part: nn.Module | nn.Parameter) -> dict[str, nn.Module | nn.Parameter]:
    if not isinstance(part, nn.Module):
        return {}
    return dict(part.named_children()) | dict(part.named_parameters(recurse=False))


def _known(networks: nn.ModuleDict, path: str, given: str = "") -> str:
    """What there is in a part, as a sentence."""
    part = _part(networks, path) if path else networks
    inside = _inside(part) if part is not None else {}
    names = [
        name for name, one in inside.items() if not isinstance(one, nn.Module) or any(True for _ in one.parameters())
    ]
    if names and all(name.isdigit() for name in names):
        return f"{path} has the numbers {names[0]} to {names[-1]}."
    where = f"In {path} there are" if path else "There are"
    return f"{where} {', '.join(names) or 'no parts'}.{nearest(given, names) if given else ''}"
