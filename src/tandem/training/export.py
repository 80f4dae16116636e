"""From a training state, or a checkpoint of one, to a model bundle."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tandem.checkpoint.bundle import FittedPrior, network_of, save_bundle
from tandem.checkpoint.manifest import LearnedPrior, Manifest, Preprocessing, read_manifest
from tandem.checkpoint.storage import Storage
from tandem.checkpoint.store import CheckpointStore
from tandem.config.parse import parse_dataclass
from tandem.config.run import RunConfig, to_flat
from tandem.data.fit import FitRule
from tandem.data.levels import levels_of_run
from tandem.errors import CheckpointError
from tandem.foreign import reading
from tandem.training.inputs import Inputs
from tandem.training.run_folder import RunFolder
from tandem.training.state import TrainingState
from tandem.version import __version__

PRIOR_PREFIX = "prior/"
"""Of the names of a learned prior's tensors in a checkpoint."""


def export_model(
    folder: Path, *, state: TrainingState, config: RunConfig, inputs: Inputs, prior: FittedPrior | None
) -> None:
    """Write the networks that inference needs, ema_networks where the run keeps an average, as a bundle."""
    manifest = manifest_of(state=state, config=config, inputs=inputs)
    source = state.ema.networks if state.ema is not None else state.objective.networks
    save_bundle(folder, manifest, {name: source[name] for name in manifest.networks}, prior=prior)


def manifest_of(*, state: TrainingState, config: RunConfig, inputs: Inputs) -> Manifest:
    """What the model of a run says of itself now."""
    networks = {name: state.objective.networks[name] for name in state.objective.inference_networks}
    data = config.data
    levels_a, levels_b = levels_of_run(data)
    return Manifest(
        tandem_version=__version__,
        method=config.objective.method,
        networks={name: network.spec for name, network in networks.items()},  # type: ignore[misc]
        preprocessing=Preprocessing(
            **dataclasses.asdict(FitRule.of(data)),
            input_sizes=inputs.report.sizes_a,
            output_sizes=inputs.report.sizes_b,
            direction=data.direction,
            input_channels=data.input_channels,
            output_channels=data.output_channels,
            input_levels=levels_a.of_type(inputs.report.values_a.type),
            output_levels=levels_b.of_type(inputs.report.values_b.type),
            input_parts=dict(inputs.input_parts),
        ),
        training={
            "steps": state.step,
            "images_seen": state.step * config.training.batch_size,
            "weights": "ema" if state.ema is not None else "last",
            "num_pairs": len(inputs.train),
            "data_fingerprint": inputs.fingerprint,
            "options": to_flat(config),
        }
        | ({} if data.val_split is None else {"val_split": data.val_split})
        | ({} if state.start is None else {"start": dict(state.start)}),
        samples_with_noise=state.objective.samples_with_noise,
        statistics=dataclasses.asdict(inputs.report),
    )


def export_checkpoint(run: RunFolder, step: int, folder: Path, *, storage: Storage = "fp32") -> None:
    """Write the bundle that training wrote, or would have written, at a step whose checkpoint is kept.

    Raises:
        CheckpointError: The checkpoint is damaged, or does not belong to the run's model.
        BundleError: The run's model is missing or damaged.
        ConfigError: The weights cannot be stored like that.
    """
    manifest, networks, prior = checkpoint_model(run, step)
    save_bundle(folder, manifest, networks, prior=prior, storage=storage)


def checkpoint_model(run: RunFolder, step: int) -> tuple[Manifest, dict[str, nn.Module], FittedPrior | None]:
    """The model of a step whose checkpoint is kept.

    What it says of the data is taken from the run's newest one; it is the same during a run.

    Raises:
        CheckpointError: The checkpoint is damaged, or does not belong to the run's model.
        BundleError: The run's model is missing or damaged.
    """
    store = CheckpointStore(run.checkpoints)
    metadata, tensors = store.read(step)
    newest, _ = read_manifest(run.model)
    ema_networks = any(name.startswith("ema/") for name in tensors)
    source = "ema" if ema_networks else "network"
    networks = {}
    for name, spec in newest.networks.items():
        prefix = f"{source}/{name}."
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        networks[name] = network_of(spec, own, f"{store.path(step)}: what {run.model} says of {name}", CheckpointError)
    with reading(store.path(step), CheckpointError):
        options = metadata["config"]
        images_seen = step * options["batch_size"]
    training = dict(newest.training) | {
        "steps": step,
        "images_seen": images_seen,
        "weights": "ema" if ema_networks else "last",
        "options": options,
    }
    manifest = dataclasses.replace(newest, training=training, weights=None)
    return manifest, networks, _prior_of(store, metadata, tensors, step)


def _prior_of(
    store: CheckpointStore, metadata: Mapping[str, Any], tensors: Mapping[str, Tensor], step: int
) -> FittedPrior | None:
    """The learned prior that a checkpoint carries."""
    if metadata.get("prior") is None:
        return None
    try:
        return FittedPrior.of(parse_dataclass(LearnedPrior, metadata["prior"], "prior"), tensors, PRIOR_PREFIX)
    except ValueError as error:
        raise CheckpointError(f"the prior of step {step} in {store.folder} is damaged: {error}.") from error
