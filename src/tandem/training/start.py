"""Starting a run from weights that another one has learnt (``--init-from``).

What fits is taken by name: the networks, and their EMA. A network is taken where its specification is that of the other
one, but for what only changes how many levels, blocks or channels there are (`MAY_DIFFER`). Of such a network a tensor
of the same name and shape is taken as it is, so that a level is the same distance from the image in both; the first and
the last convolution, and what reads or gives the latent, are adapted (`tandem.training.adapt`); all else stays as it
was initialised. Adam's moments, the step, image pools and the learning rate are those of a new run.
"""

import dataclasses
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tandem.checkpoint.bundle import read_weights
from tandem.checkpoint.hub import local_model
from tandem.checkpoint.manifest import MANIFEST_NAME, SHARED_MANIFEST_NAME, read_manifest, sha256_of
from tandem.checkpoint.store import CheckpointStore
from tandem.config.parse import parse_value
from tandem.config.specifications import NetworkSpec
from tandem.errors import BundleError, CheckpointError
from tandem.report.text import count
from tandem.training.adapt import adapt, words_of
from tandem.training.process_group import ProcessGroup
from tandem.training.run_folder import RunFolder
from tandem.training.state import TrainingState

MAY_DIFFER = frozenset(
    {"in_channels", "out_channels", "input_channels", "channels", "latent_dim"}
    | {"depth", "blocks", "layers", "scales", "dropout"}
)
"""Fields of a specification that don't change what a tensor of the same name and shape is for."""
_SHOWN = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Weights to start from.

    Attributes:
        path: The file, or the bundle's folder.
        kind: What it is.
        sha256: Of the file of weights.
        method: The method that trained them.
        step: Steps after which.
        images: Training images that their EMA has seen.
        specs: The specification of each network, as JSON, where it is known.
        networks: The tensors of each network, by key.
        ema: Those of the EMA; none of a bundle, whose weights may be one.
    """

    path: Path
    kind: str
    sha256: str
    method: str
    step: int
    images: int = 0
    specs: Mapping[str, Mapping[str, Any]]
    networks: Mapping[str, Mapping[str, Tensor]]
    ema: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was taken of a network.

    Attributes:
        network: Its name.
        taken: Tensors that were taken as they are.
        adapted: Those that were adapted, each with how.
        fresh: Those that stay as they were initialised.
        left: Why nothing was taken; empty otherwise.
    """

    network: str
    taken: int = 0
    adapted: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    left: str = ""

    def as_text(self) -> str:
        """In words."""
        if self.left:
            return f"as initialised: {self.left}"
        words = [f"{self.taken} tensors taken"]
        words += [f"{len(self.adapted)} adapted ({_some(self.adapted)})"] if self.adapted else []
        words += [f"{len(self.fresh)} as initialised ({_some(self.fresh)})"] if self.fresh else []
        return ", ".join(words)


def start_from(state: TrainingState, path: Path, process_group: ProcessGroup) -> None:
    """Put the weights at `path` into a state before its first step, as far as they fit, and say what was taken.

    The main process reads them for all.

    Raises:
        CheckpointError: There are no weights, they are damaged, or none fits.
        BundleError: They are those of a bundle that is damaged.
    """

    def read() -> dict[str, Any]:
        return _take(state, read_source(path))

    state.start = process_group.broadcast(process_group.on_main(read))
    shared = process_group.broadcast_tensors(_weights(state) if process_group.is_main else None)
    if not process_group.is_main:
        for name, tensor in _weights(state).items():
            tensor.copy_(shared[name])


def specifications(networks: nn.ModuleDict) -> dict[str, dict[str, Any]]:
    """What a checkpoint says of its networks, as JSON; those of a method from outside may have no specification."""
    specs = {name: getattr(network, "spec", None) for name, network in networks.items()}
    return {
        name: dataclasses.asdict(spec)
        for name, spec in specs.items()
        if dataclasses.is_dataclass(spec) and not isinstance(spec, type)
    }


def lines_of(start: Mapping[str, Any] | None) -> dict[str, str]:
    """Where a run starts from, and what was taken of each network, by what a page calls it."""
    if start is None:
        return {}
    where = f"{start['path']}, step {count(start['step'])} of {start['method']}, SHA-256 {start['sha256'][:16]}"
    return {"started from": where} | {f"started from: {name}": text for name, text in start["networks"].items()}


def read_source(path: Path) -> Source:
    """Weights of a run (its newest checkpoint, else its model), of a checkpoint file, or of a model, also on the Hub.

    Raises:
        CheckpointError: There are none, or they are damaged.
        BundleError: They are those of a bundle that is damaged.
        DownloadError: The Hub does not have them.
    """
    path = local_model(path)
    step = CheckpointStore.step_of(path)
    if step is not None and path.is_file():
        return _of_checkpoint(CheckpointStore(path.parent), step)
    store = CheckpointStore(RunFolder(path).checkpoints)
    if steps := store.steps():
        return _of_checkpoint(store, steps[-1])
    try:
        manifest, weights = read_manifest(path)
        tensors = read_weights(manifest, weights)
    except (ValueError, OSError) as error:
        if isinstance(error, BundleError) and path.is_dir() and _holds_manifest(path):
            raise
        raise CheckpointError(
            f"--init-from {path}: there are no weights to start from. Give the folder of a run (runs/NAME), of a model "
            "(runs/NAME/model), or a checkpoint (runs/NAME/checkpoints/step-….safetensors).",
            file=path,
        ) from error
    assert manifest.weights is not None
    return Source(
        path=weights.parent,
        kind="model",
        sha256=manifest.weights.sha256,
        method=manifest.method,
        step=_whole(manifest.training.get("steps")),
        specs={name: dataclasses.asdict(spec) for name, spec in manifest.networks.items()},
        networks=_by_network(tensors, ""),
    )


def _holds_manifest(folder: Path) -> bool:
    return (folder / SHARED_MANIFEST_NAME).is_file() or any(folder.rglob(MANIFEST_NAME))


def _of_checkpoint(store: CheckpointStore, step: int) -> Source:
    metadata, tensors = store.read(step, ("network/", "ema/"))
    config, start = metadata.get("config"), metadata.get("start")
    config, start = (one if isinstance(one, dict) else {} for one in (config, start))
    return Source(
        path=store.path(step),
        kind="checkpoint",
        sha256=sha256_of(store.path(step)),
        method=str(config.get("method", "unknown")),
        step=step,
        images=step * _whole(config.get("batch_size")) + _whole(start.get("ema_images")),
        specs=_specs_of(metadata.get("networks")),
        networks=_by_network(tensors, "network/"),
        ema=_by_network(tensors, "ema/"),
    )


def _specs_of(told: object) -> dict[str, dict[str, Any]]:
    """The specifications that a checkpoint tells, which may come from a stranger; what is none is left out."""
    specs: dict[str, dict[str, Any]] = {}
    for name, values in told.items() if isinstance(told, dict) else ():
        with suppress(ValueError):
            specs[str(name)] = dataclasses.asdict(parse_value(NetworkSpec, values, str(name)))
    return specs


def _take(state: TrainingState, source: Source) -> dict[str, Any]:
    """Put what fits into the state; what there is to say of it, as JSON."""
    networks = state.objective.networks
    table = [_take_network(name, network, source, source.networks) for name, network in networks.items()]
    if all(one.left for one in table):
        reasons = "\n".join(f"  - {one.network}: {one.left}" for one in table)
        raise CheckpointError(
            f"--init-from {source.path}: nothing of it fits this run:\n{reasons}\nChoose the options of the run that "
            "the weights come from, or leave --init-from out.",
            file=source.path,
        )
    ema_images = 0 if state.ema is None else _take_average(state.ema.networks, networks, source)
    start = {
        "path": str(source.path),
        "kind": source.kind,
        "sha256": source.sha256,
        "method": source.method,
        "step": source.step,
        "ema_images": ema_images,
        "networks": {one.network: one.as_text() for one in table},
    }
    log.info("starting from %s", lines_of(start)["started from"])
    width = max(map(len, networks))
    for one in table:
        log.info("  %s  %s", one.network.ljust(width), one.as_text())
    if unused := [name for name in source.networks if name not in networks]:
        log.info("  not part of this method: %s", ", ".join(unused))
    for one in table:
        if (one.left or one.fresh) and _frozen_afresh(networks[one.network], one):
            log.warning("%s: weights that are as initialised are frozen: they will never be trained", one.network)
    return start


def _take_network(name: str, network: nn.Module, source: Source, given: Mapping[str, Mapping[str, Tensor]]) -> Taken:
    if name not in given:
        return Taken(network=name, left=f"there is no {name} in {source.kind} {source.path.name}")
    own, other = _both_specs(network, source.specs.get(name))
    if own and own["kind"] != other.get("kind"):
        return Taken(network=name, left=f"it is a {other.get('kind')} there and a {own['kind']} here")
    if different := [key for key in own if key not in MAY_DIFFER and own[key] != other.get(key)]:
        words = ", ".join(f"{key} is {other.get(key)} there and {own[key]} here" for key in different)
        return Taken(network=name, left=words)
    tensors, adapted, fresh, taken = dict(network.state_dict()), [], [], 0
    for key, target in tensors.items():
        found = given[name].get(key)
        if found is not None and found.shape == target.shape:
            tensors[key], taken = found, taken + 1
        elif found is not None and own and (made := adapt(key, found, target, other, own)) is not None:
            tensors[key] = made
            adapted.append(words_of(key, found, target))
        else:
            fresh.append(key)
    if not taken and not adapted:
        return Taken(network=name, left="no tensor has the same name and shape")
    network.load_state_dict(tensors)
    return Taken(network=name, taken=taken, adapted=tuple(adapted), fresh=tuple(fresh))


def _both_specs(network: nn.Module, other: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The specifications of a network and of the source's, as JSON; both empty where one is not known."""
    own = specifications(nn.ModuleDict({"own": network})).get("own")
    return json.loads(json.dumps([own, other])) if own and other else ({}, {})


@torch.no_grad()
def _take_average(averages: nn.ModuleDict, networks: nn.ModuleDict, source: Source) -> int:
    """Begin the EMA with that of the source, and elsewhere with the weights; the images that it has seen.

    Where some of its weights are fresh it counts as new, because otherwise it would keep these for many images.
    """
    whole = bool(source.ema)
    for name, average in averages.items():
        average.load_state_dict(networks[name].state_dict())
        taken = _take_network(name, average, source, source.ema)
        whole = whole and not taken.left and not taken.fresh
        for kept, own in zip(average.parameters(), networks[name].parameters(), strict=True):
            if not own.requires_grad:  # the average of a weight that stays is that weight
                kept.copy_(own)
    return source.images if whole else 0


def _weights(state: TrainingState) -> dict[str, Tensor]:
    named = {f"network/{key}": value for key, value in state.objective.networks.state_dict().items()}
    return named | ({} if state.ema is None else {f"ema/{key}": value for key, value in state.ema.state_dict().items()})


def _frozen_afresh(network: nn.Module, taken: Taken) -> bool:
    parameters = dict(network.named_parameters())
    names = parameters if taken.left else [name for name in taken.fresh if name in parameters]
    return any(not parameters[name].requires_grad for name in names)


def _by_network(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            network, _, key = name.removeprefix(prefix).partition(".")
            found.setdefault(network, {})[key] = tensor
    return found


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _some(names: tuple[str, ...]) -> str:
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return ", ".join([*names[:_SHOWN], *more])
