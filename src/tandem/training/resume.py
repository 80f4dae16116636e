"""Going on from the newest checkpoint of a run."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from torch import Tensor

from tandem.checkpoint.manifest import read_manifest
from tandem.checkpoint.store import CheckpointStore
from tandem.config.run import RunConfig, differences, from_flat
from tandem.errors import BundleError, CheckpointError, DamagedCheckpointError
from tandem.foreign import reading
from tandem.report.records import read_metrics
from tandem.training.export import PRIOR_PREFIX
from tandem.training.inputs import Inputs
from tandem.training.process_group import ProcessGroup
from tandem.training.run_folder import RunFolder
from tandem.training.state import TrainingState

MAY_CHANGE_ON_RESUME = frozenset(
    {
        "steps",
        "epochs",
        "acceleration",
        "accumulate",
        "cache_gb",
        "decoded_gb",
        "decoded_place",
        "device",
        "deterministic",
        "num_workers",
        "overlap",
        "recompute_activations",
        "log_every",
        "snapshot_every",
        "keep_last",
        "num_previews",
        "num_preview_samples",
        "log",
        "threads",
        "feature_weights",  # whose SHA-256 the state has
        "validate_every",
        "validate_metrics",
        "validate_images",
        "validate_samples",
        "validate_features",
        "validate_features_size",
        "validate_features_range",
        "validate_trust_torchscript",
        "keep_best",
        "patience",
        "prior",
        "prior_components",
        "prior_images",
    }
)
"""Options that do not change what the steps compute; but for the length, which ``--lr-schedule half_linear`` and what
joins late follow (`tandem.training.joining`): from there on they go by the new one."""

log = logging.getLogger(__name__)


def resume(
    state: TrainingState,
    store: CheckpointStore,
    *,
    config: RunConfig,
    inputs: Inputs,
    folder: RunFolder,
    process_group: ProcessGroup,
) -> int | None:
    """Load the newest checkpoint, which the main process reads for all; its step, or None where there is none.

    Raises:
        CheckpointError: It belongs to a run with other options or data, or does not fit; or the folder holds a run that
            has done steps, but none of its checkpoints.
    """

    def read() -> tuple[list[Any], dict[str, Tensor]] | None:
        store.clean()
        steps = store.steps()
        if not steps:
            _require_no_steps(folder)
            return None
        step, metadata, tensors = _newest_good(store, steps)
        with reading(store.path(step), _damaged):
            before = from_flat(metadata["config"], own=type(config.objective))
            changed = differences(before, config, ignore=MAY_CHANGE_ON_RESUME)
            if metadata["data_fingerprint"] != inputs.fingerprint:
                changed.append("the training data: other pairs or other names")
        if changed:
            raise CheckpointError(
                f"{folder.root} holds a run with other settings:\n"
                + "\n".join(f"  - {change}" for change in changed)
                + f"\nTo continue it give the same settings, e.g. with --config {folder.config}; or another --out."
            )
        _say_what_follows_the_length(before, config)
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith(PRIOR_PREFIX)}
        return [step, metadata], own

    found = process_group.on_main(read)
    told = process_group.broadcast(None if found is None else found[0])
    if told is None:
        return None
    step, metadata = told
    tensors = process_group.broadcast_tensors(None if found is None else found[1])
    with reading(store.path(step), _damaged):
        state.load(tensors, metadata)
    return step


def _newest_good(store: CheckpointStore, steps: Sequence[int]) -> tuple[int, dict[str, Any], dict[str, Tensor]]:
    """The newest checkpoint that is what was written; newer ones are set aside, so that retention forgets them.

    Raises:
        CheckpointError: One cannot be read, or all are damaged.
    """
    damaged: dict[int, DamagedCheckpointError] = {}
    for step in reversed(steps):
        try:
            metadata, tensors = store.read(step)
        except DamagedCheckpointError as error:
            damaged[step] = error
            continue
        for newer, error in damaged.items():
            aside = store.set_aside(newer)
            log.warning("%s It is kept as %s, and the run goes on from step %d.", error, aside.name, step)
        return step, metadata, tensors
    raise CheckpointError(
        f"{damaged[steps[-1]]} There is no other one that is whole: put a copy in its place, or begin a new run in "
        "another --out.",
        file=damaged[steps[-1]].file,
    )


def _damaged(reason: str) -> CheckpointError:
    return CheckpointError(
        f"the checkpoint {reason}. Continue with the version of Tandem that wrote it, or begin anew."
    )


def _say_what_follows_the_length(before: RunConfig, config: RunConfig) -> None:
    lengths = [(one.training.steps, one.training.epochs) for one in (before, config)]
    if lengths[0] != lengths[1] and config.training.lr_schedule == "half_linear":
        log.warning(
            "the run has another length now, which --lr-schedule half_linear goes by: the learning rate is now what it "
            "would be in a run of that length"
        )


def _require_no_steps(folder: RunFolder) -> None:
    """Refuse to begin anew where a run has trained whose checkpoints are gone: its model would be written over."""
    done = max((record.step for record in read_metrics(folder.metrics)), default=0)
    with suppress(BundleError):
        steps = read_manifest(folder.model)[0].training.get("steps")
        done = max(done, steps if isinstance(steps, int) else 0)
    if done:
        raise CheckpointError(
            f"{folder.root} holds a run of {done} steps whose checkpoints are gone (there is none in "
            f"{folder.checkpoints}), so it cannot go on, and a new one would write over its model. Put them back; or "
            f"give another --out, with --init-from {folder.root} if the new run is to start from this model; or remove "
            f"{folder.root} to begin anew.",
            file=folder.checkpoints,
        )
