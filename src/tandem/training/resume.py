"""Continuing a run: the newest checkpoint, if it belongs to the same settings and the same data."""

from tandem.checkpoint.store import CheckpointStore
from tandem.config.run import RunConfig, differences, from_flat
from tandem.errors import CheckpointError
from tandem.training.inputs import Inputs
from tandem.training.run_folder import RunFolder
from tandem.training.state import TrainingState

MAY_CHANGE_ON_RESUME = frozenset(
    {
        "steps",
        "epochs",
        "cache_gb",
        "device",
        "deterministic",
        "num_workers",
        "log_every",
        "snapshot_every",
        "keep_last",
        "num_previews",
        "num_preview_samples",
        "tensorboard",
        "validate_every",
        "validate_metrics",
        "validate_images",
        "validate_samples",
        "validate_features",
        "validate_features_size",
        "validate_features_range",
        "validate_trust_torchscript",
        "keep_best",
    }
)
"""Options that do not change what the steps compute."""


def resume(
    state: TrainingState, store: CheckpointStore, config: RunConfig, inputs: Inputs, run: RunFolder
) -> int | None:
    """Load the newest checkpoint of a run into `state`.

    Returns:
        Its step, or None of a run that begins.

    Raises:
        CheckpointError: It is damaged, or of other settings or other data.
    """
    store.clean()
    steps = store.steps()
    if not steps:
        return None
    metadata = store.metadata(steps[-1])
    changed = differences(from_flat(metadata["config"]), config, ignore=MAY_CHANGE_ON_RESUME)
    if metadata["data_fingerprint"] != inputs.fingerprint:
        changed.append("the training data: other pairs or other names")
    if changed:
        raise CheckpointError(
            f"{run.root} holds a run with other settings:\n"
            + "\n".join(f"  - {change}" for change in changed)
            + f"\nTo continue it give the same settings, e.g. with --config {run.config}; or another --out."
        )
    state.load(store.tensors(steps[-1]), metadata)
    return steps[-1]
