"""Watching a run: log lines, latent health and samples of fixed inputs, the page, the progress bar."""

import time
from typing import Literal

import torch
from torch import Tensor

from tandem.config.run import RunConfig, to_flat
from tandem.data.images import to_array
from tandem.errors import NonFiniteError
from tandem.report.progress import TrainingProgress
from tandem.report.training_page import RunView
from tandem.training.device import describe_device, peak_memory_mb
from tandem.training.health import LatentHealth, measure_health
from tandem.training.inputs import Inputs
from tandem.training.recorder import Recorder
from tandem.training.run_folder import RunFolder
from tandem.training.state import TrainingState

PAGE_SECONDS = 5.0
"""Least time between two renewals of the page."""
PAGE_SHARE = 50
"""Times the time that one renewal takes, likewise: long logs make long pages."""
CAPTION = "Each row is one input: the input, the truth, the truth encoded and decoded again, samples of random codes."


class Observer:
    """Writes what people want to know of a run; changes nothing of its state but the log's running means."""

    def __init__(
        self,
        config: RunConfig,
        inputs: Inputs,
        state: TrainingState,
        *,
        run: RunFolder,
        device: torch.device,
        total_images: int,
    ) -> None:
        self._config, self._inputs, self._state = config, inputs, state
        self._run, self._device, self._total_images = run, device, total_images
        self._recorder = Recorder(
            run,
            resume_step=state.step,
            goes_on=self._images < total_images,
            tensorboard=config.training.tensorboard,
        )
        self._fixed = [tensor.to(device) for tensor in (*inputs.previews[1:], inputs.z)]
        self._losses: dict[str, float] = {}
        self._page_due = 0.0

    @property
    def _images(self) -> int:
        return self._state.step * self._config.training.batch_size

    def log(self, progress: TrainingProgress) -> None:
        """Write the means since the last line."""
        state = self._state
        self._losses = state.meter.means()
        self._recorder.write(
            {
                "kind": "train",
                "step": state.step,
                "images": self._images,
                "epoch": self._images / len(self._inputs.train),
                "losses": self._losses,
                "learning_rate": next(iter(state.optimizers.values())).param_groups[0]["lr"],
                "speed": {"images_per_second": progress.rate, "memory_mb": peak_memory_mb(self._device)},
            }
        )
        state.meter.reset()

    def has_measured(self) -> bool:
        """Whether the log holds a measurement of the current step."""
        return any(r["kind"] == "health" and r["step"] == self._state.step for r in self._recorder.records)

    def measure(self) -> LatentHealth:
        """Measure latent health, write it down and save a picture of the fixed inputs.

        Raises:
            NonFiniteError: The networks give values that are not finite; nothing has been written.
        """
        state, average = self._state, self._state.average
        networks = average.networks if average is not None else state.objective.networks
        networks.eval()
        encoder = networks["encoder"] if "encoder" in networks else None  # noqa: SIM401  (a ModuleDict has no get)
        health, samples, reconstructed = measure_health(
            networks["generator"], encoder, *self._fixed, real_spread=self._inputs.report.spread_b
        )
        if average is None:
            networks.train()
        if not all(bool(torch.isfinite(images).all()) for images in (samples, reconstructed)):
            raise NonFiniteError("the samples of the fixed inputs are not finite: the weights have diverged")
        at_the_end = {} if state.step % self._config.training.snapshot_every == 0 else {"final": True}
        self._recorder.write(
            {"kind": "health", "step": state.step, "images": self._images} | health.as_record() | at_the_end
        )
        self._picture(samples, reconstructed)
        return health

    def _picture(self, samples: Tensor, reconstructed: Tensor) -> None:
        _, a, b = self._inputs.previews
        count = self._config.training.num_previews
        columns = [to_array(column[:count]) for column in (a, b, reconstructed, *samples.unbind(1))]
        titles = ["input", "truth", "encoded", *(f"z{index + 1}" for index in range(samples.shape[1]))]
        rows = [[column[row] for column in columns] for row in range(len(columns[0]))]
        self._recorder.picture(self._state.step, rows, titles)

    def show(self, progress: TrainingProgress) -> None:
        """Renew the progress bar, and the page when it is due."""
        progress.update(self._images, losses=self._losses, memory_mb=peak_memory_mb(self._device))
        if time.monotonic() >= self._page_due:
            self.page(progress, "running", "")

    def page(
        self,
        progress: TrainingProgress,
        state: Literal["running", "stopped", "finished", "failed"],
        message: str,
    ) -> None:
        """Renew the page."""
        begun = time.monotonic()
        self._recorder.page(
            RunView(
                name=self._run.name,
                state=state,
                message=message,
                step=self._state.step,
                images_seen=self._images,
                total_images=self._total_images,
                epoch=self._images / len(self._inputs.train),
                rate=progress.rate,
                seconds_left=progress.seconds_left,
                memory_mb=peak_memory_mb(self._device),
                device=describe_device(self._device),
                config={name: str(value) for name, value in to_flat(self._config).items()},
                records=self._recorder.records,
                snapshots=self._recorder.snapshots(self._state.step, self._config.training.batch_size),
                snapshot_caption=CAPTION,
            )
        )
        took = time.monotonic() - begun
        self._page_due = begun + max(PAGE_SECONDS, PAGE_SHARE * took)

    def sync(self) -> None:
        """Force the log to the disk."""
        self._recorder.sync()

    def close(self) -> None:
        """Close the log."""
        self._recorder.close()
