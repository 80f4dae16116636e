"""Watching a run: log lines, measurements and pictures of fixed inputs, the page, the progress bar."""

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from tandem import rng
from tandem.config.command_line import changed_options, train_command
from tandem.config.latent_prior import LatentPriorOptions
from tandem.config.run import RunConfig, to_flat
from tandem.config.values import to_text
from tandem.data.fit import FitRule
from tandem.data.levels import levels_of_run
from tandem.errors import NonFiniteError
from tandem.objectives.objective import samples_with_dropout
from tandem.prior.distributions import uniforms
from tandem.report.links import run_links
from tandem.report.nature import Nature
from tandem.report.progress import TrainingProgress
from tandem.report.records import HealthRecord, Record, TrainRecord, TrainSpeed, ValidationRecord, ValidationSpeed
from tandem.report.training_page import RunView
from tandem.training.device import describe_device, peak_memory_mb
from tandem.training.health import Sampling
from tandem.training.inputs import Inputs
from tandem.training.prior import RunPrior
from tandem.training.recorder import Recorder
from tandem.training.run_facts import facts_of, moment
from tandem.training.run_folder import RunFolder
from tandem.training.snapshot import caption_of, domain_of, measure, numbers_of, sampling_state
from tandem.training.start import lines_of
from tandem.training.state import TrainingState

PAGE_SECONDS = 5.0
"""Least time between two renewals of the page."""
PAGE_SHARE = 50
"""Times the time that one renewal takes, likewise: long logs make long pages."""


class Observer:
    """Writes what people want to know of a run; changes nothing of its state but the log's running means.

    Attributes:
        best: A sentence about the best checkpoint, for the page.
    """

    def __init__(
        self,
        config: RunConfig,
        inputs: Inputs,
        state: TrainingState,
        *,
        run: RunFolder,
        device: torch.device,
        prior: RunPrior,
        total_images: int,
        data: Sequence[Path | str] = (),
        processes: int = 1,
    ) -> None:
        self._config, self._inputs, self._state = config, inputs, state
        self._run, self._device, self._total_images = run, device, total_images
        self._processes, self._prior = processes, prior
        self._recorder = Recorder(
            run,
            resume_step=state.step,
            goes_on=self._images < total_images and not _has_ended(config, state),
            loggers=config.training.log,
            options=to_flat(config),
        )
        self._fixed = [tensor.to(device) for tensor in inputs.previews[1:]]
        number = config.training.num_preview_samples
        self._uniform = uniforms(number, seed=config.training.seed, stream="preview_component")
        seeds = [rng.derive_seed(config.training.seed, "preview_noise", position=index) for index in range(number)]
        self._sampling = Sampling(
            z=inputs.z.to(device),
            seeds=seeds if samples_with_dropout(state.objective) else None,
            real_spread=inputs.report.spread_b,
            trains_on_draws=isinstance(config.objective, LatentPriorOptions) and config.objective.trains_on_draws,
        )
        paired = config.objective.paired
        caption = caption_of(state.objective.networks, sampling=self._sampling, paired=paired)
        self._caption = f"{caption} {FitRule.of(config.data).describe_fixed()}"
        self._nature = Nature(
            latent=config.objective.latent_dim > 0,
            noise=self._sampling.seeds is not None,
            networks=tuple(state.objective.networks),
        )
        self._command = train_command(config, data, run.root)
        self._changed = [(one.option.flag, _shown(one.value), _shown(one.default)) for one in changed_options(config)]
        self._facts = facts_of(inputs, run, data)
        self._losses: dict[str, float] = {}
        self._told = len(self._recorder.records)
        self._page_due = 0.0
        self.best = ""

    @property
    def _images(self) -> int:
        return self._state.step * self._config.training.batch_size

    def log(self, progress: TrainingProgress, *, waiting: float | None) -> None:
        """Write the means since the last line; `waiting` is the share of the time for which data was waited for."""
        state = self._state
        self._losses = state.meter.means()
        self._recorder.write(
            TrainRecord(
                step=state.step,
                images=self._images,
                epoch=self._images / len(self._inputs.train),
                losses=self._losses,
                learning_rate=float(next(iter(state.optimizers.values())).param_groups[0]["lr"]),
                speed=TrainSpeed(
                    images_per_second=progress.rate,
                    memory_mb=peak_memory_mb(self._device),
                    world_size=self._processes,
                    waiting=waiting,
                ),
            )
        )
        state.meter.reset()

    @property
    def records(self) -> Sequence[Record]:
        """All lines of the log."""
        return self._recorder.records

    def news(self) -> list[Record]:
        """The lines that have been written since the last call, or since the process began."""
        told, self._told = self._told, len(self._recorder.records)
        return self._recorder.records[told:]

    def has(self, kind: type[HealthRecord | ValidationRecord]) -> bool:
        """Whether the log holds a line of this kind of the current step."""
        return any(isinstance(record, kind) and record.step == self._state.step for record in self._recorder.records)

    def write_validation(
        self,
        numbers: Mapping[str, float | None],
        *,
        conditions: Mapping[str, Any],
        speed: ValidationSpeed,
        every: int,
    ) -> None:
        """Write down what a validation of the current step, one of `every` so many, has found."""
        self._recorder.write(
            ValidationRecord(
                step=self._state.step,
                images=self._images,
                numbers=numbers,
                conditions=conditions,
                speed=speed,
                final=self._is_off_turn(every),
            )
        )

    def _is_off_turn(self, every: int) -> bool:
        """Whether a line about the current step belongs to the end of a run, and goes with that."""
        return self._state.step % every != 0

    def measure(self) -> Mapping[str, float | None] | None:
        """Measure on the fixed inputs, write the numbers down and save a picture.

        Returns:
            The numbers that the best checkpoint may be chosen by; see `tandem.training.snapshot.numbers_of`.

        Raises:
            NonFiniteError: The networks give values that are not finite; nothing has been written.
        """
        state, objective = self._state, self._state.objective
        sampling = self._sampling_now()
        networks = state.ema.networks if state.ema is not None else objective.networks
        with sampling_state(networks, objective.inference_networks, noise=objective.samples_with_noise):
            measured = measure(networks, *self._fixed, sampling=sampling, paired=self._config.objective.paired)
        if not all(bool(torch.isfinite(images).all()) for images in measured.columns.values()):
            raise NonFiniteError("the samples of the fixed inputs are not finite: the weights have diverged")
        self._recorder.write(
            HealthRecord(
                step=state.step,
                images=self._images,
                split=self._inputs.previews_split,
                measured=measured.health,
                final=self._is_off_turn(self._config.training.snapshot_every),
            )
        )
        self._picture(measured.columns)
        return numbers_of(measured.health)

    def _sampling_now(self) -> Sampling:
        """The fixed draws as latents of the prior as it is now."""
        prior = self._prior.prior()
        z = torch.from_numpy(prior.transform(self._inputs.z.numpy(), self._uniform)).to(self._device)
        return replace(self._sampling, z=z, guess_error=prior.guess_error, latents=self._prior.facts())

    def _picture(self, columns: Mapping[str, Tensor]) -> None:
        count = self._config.training.num_previews
        levels = dict(zip("ab", levels_of_run(self._config.data), strict=True))
        arrays = [
            levels[domain_of(title)].pictures(column[:count].cpu().float().numpy()) for title, column in columns.items()
        ]
        rows = [[array[row] for array in arrays] for row in range(len(arrays[0]))]
        self._recorder.picture(self._state.step, rows, list(columns))

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
        """Renew the page, unless somebody has removed the run's folder, which writing would make anew."""
        if not self._run.is_there:
            return
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
                device=describe_device(self._device, processes=self._processes),
                config={name: _shown(value) for name, value in to_flat(self._config).items()},
                records=self._recorder.records,
                snapshots=self._recorder.snapshots(self._state.step, self._config.training.batch_size),
                snapshot_caption=self._caption,
                best=self.best,
                nature=self._nature,
                command=self._command,
                changed=self._changed,
                facts=lines_of(self._state.start)
                | self._facts
                | {"This page": moment(datetime.datetime.now(datetime.UTC))},
                links=run_links(self._run.page, self._run.root),
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


def _shown(value: Any) -> str:
    return "not set" if value is None else to_text(value)


def _has_ended(config: RunConfig, state: TrainingState) -> bool:
    """Whether the run has ended by patience."""
    return 0 < config.validation.patience <= state.waited


class Bystander:
    """Stands in for the observer in the processes that do not write."""

    def __init__(self, state: TrainingState) -> None:
        self._state = state

    def log(self, progress: TrainingProgress, *, waiting: float | None) -> None:
        """Begin new means, as the observer does."""
        del progress, waiting
        self._state.meter.reset()

    def measure(self) -> None:
        """Measure nothing."""

    def show(self, progress: TrainingProgress) -> None:
        """Show nothing."""

    def page(self, progress: TrainingProgress, state: str, message: str) -> None:
        """Write nothing."""

    def sync(self) -> None:
        """Nothing to force to the disk."""

    def close(self) -> None:
        """Nothing to close."""
