"""How much disk a run needs, computed before its first step from what it holds."""

import logging
import math
import shutil
from dataclasses import dataclass

from torch import Tensor

from tandem.config.run import RunConfig
from tandem.errors import CheckpointError
from tandem.training.run_folder import RunFolder
from tandem.training.state import TrainingState

GB = 1e9
PICTURE_BYTES = 0.5
"""Of a pixel of a JPEG, about: what the pictures of real runs take, rounded up."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DiskNeed:
    """What a run writes at most, in bytes.

    Attributes:
        state: One checkpoint: weights, EMA, Adam's two moments, image pools.
        kept: Checkpoints that are kept at once.
        bundle: The model.
        pictures: The gallery, about.
    """

    state: int
    kept: int
    bundle: int
    pictures: int

    @property
    def first(self) -> int:
        """What the first save needs: a checkpoint and a model."""
        return self.state + self.bundle

    @property
    def most(self) -> int:
        """What the run needs at its fullest: a new checkpoint and model are written before old ones are removed."""
        return (self.kept + 1) * self.state + 2 * self.bundle + self.pictures


def need_of(config: RunConfig, state: TrainingState, *, total_steps: int, has_best: bool) -> DiskNeed:
    """What a run needs.

    Args:
        config: All options.
        state: Before the first step, or as it was resumed.
        total_steps: The length of the run.
        has_best: Whether a best checkpoint is kept beside the last ones.
    """
    objective, training = state.objective, config.training
    networks = objective.networks
    moments = sum(2 * _bytes(p) for network in networks.values() for p in network.parameters() if p.requires_grad)
    height, width = config.data.crop_size
    channels = max(config.data.input_channels, config.data.output_channels)
    pools = sum(4 * pool.size * channels * height * width for pool in objective.pools.values())
    made_of = state.ema.networks if state.ema is not None else networks
    ema = 0 if state.ema is None else sum(map(_bytes, state.ema.state_dict().values()))
    snapshots = math.ceil(total_steps / training.snapshot_every)
    columns = 3 + training.num_preview_samples
    picture = training.num_previews * columns * max(height, 96) * max(width, 96) * PICTURE_BYTES
    saves = snapshots + 1
    return DiskNeed(
        state=sum(map(_bytes, networks.state_dict().values())) + ema + moments + pools,
        kept=min(training.keep_last + has_best, saves),
        bundle=sum(_bytes(t) for name in objective.inference_networks for t in made_of[name].state_dict().values()),
        pictures=round(snapshots * picture),
    )


def require_room(need: DiskNeed, run: RunFolder, *, keep_last: int) -> None:
    """Say what the run needs, and compare it with what is free.

    What the run has written already counts as there. A file system that does not say what is free is not asked again.

    Raises:
        CheckpointError: Not even the first checkpoint with its model fits.
    """
    free, written = _free(run), _written(run)
    states = f"{need.kept} checkpoints" if need.kept > 1 else "1 checkpoint"
    log.info(
        "disk: at most %s: %s of %s and one more while it is written, a model of %s, pictures of about %s; %s",
        _in_words(need.most),
        states,
        _in_words(need.state),
        _in_words(need.bundle),
        _in_words(need.pictures),
        "how much is free is not known" if free is None else f"{_in_words(free)} are free",
    )
    if free is None:
        return
    advice = "Make room, give an --out on another disk, or choose smaller networks (--generator-filters and so on)"
    if free + written < need.first:
        raise CheckpointError(
            f"{run.root} has {_in_words(free)} of free disk, and the first checkpoint with its model needs "
            f"{_in_words(need.first)}. {advice}.",
            file=run.root,
        )
    if free + written < need.most:
        fewer = f", or lower --keep-last {keep_last}" if keep_last > 1 else ""
        log.warning("the disk is too small for the whole run, which may stop at a checkpoint. %s%s.", advice, fewer)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _free(run: RunFolder) -> int | None:
    try:
        usage = shutil.disk_usage(run.root)
    except OSError:
        return None
    return usage.free if usage.total else None


def _written(run: RunFolder) -> int:
    folders = (run.checkpoints, run.model, run.gallery)
    return sum(p.stat().st_size for folder in folders if folder.is_dir() for p in folder.iterdir() if p.is_file())


def _in_words(size: int) -> str:
    return f"{size / GB:.2f} GB" if size >= 0.1 * GB else f"{size / 1e6:.1f} MB"
