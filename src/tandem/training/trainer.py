"""The training loop: composes data, objective, step, state, checkpoints and reports."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tandem.checkpoint.store import CheckpointStore
from tandem.config.run import RunConfig, to_flat
from tandem.config.yaml import to_yaml
from tandem.data.loader import make_loader
from tandem.data.micro_batches import MicroBatches
from tandem.data.shards.open import as_location
from tandem.errors import LostWorkersError, NonFiniteError
from tandem.objectives.build import build_objective
from tandem.report.progress import TaskProgress, TrainingProgress, silence
from tandem.report.records import HealthRecord, Record
from tandem.threads import choose_threads, describe_load
from tandem.training.device import (
    configure_backends,
    describe_arithmetic,
    describe_device,
)
from tandem.training.disk import need_of, require_room
from tandem.training.distributed import join
from tandem.training.export import PRIOR_PREFIX, export_model
from tandem.training.feed import Feed, budget_of, keep_decoded, to_device, workers_of
from tandem.training.inputs import Inputs, digest_of, fetch_data, open_inputs, with_ranges
from tandem.training.loggers import require_loggers
from tandem.training.observer import Bystander, Observer
from tandem.training.prior import RunPrior
from tandem.training.process_group import Agreement, ProcessGroup, make_all_reduce
from tandem.training.resume import resume
from tandem.training.run_folder import RunFolder
from tandem.training.setup import MakeObjective, make_state
from tandem.training.signals import GracefulStop
from tandem.training.sources import remember_data
from tandem.training.start import specifications, start_from
from tandem.training.stepper import BadStepError, Stepper
from tandem.training.validation import MakeValidator, Standing, Validation

log = logging.getLogger(__name__)

LOCK_PATIENCE_SECONDS = 30.0
DEAF_SECONDS = 10.0
NOT_MEASURED = Standing()

Ending = Literal["finished", "patience", "signal", "callback"]
"""Why a run ended: all steps are done, validations found nothing better, a signal or a callback asked to stop."""
Callback = Callable[[Record], object]
"""Called with every line of the log; it asks to stop with True or ``"stop"``."""


@dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    Attributes:
        step: Optimiser steps done.
        total_steps: Steps of the whole run.
        stopped_by: The signal that stopped it, or None when it is finished.
        already_done: Nothing was left to do.
        is_main: Whether this process is the one that wrote it; of several that train together one is.
        ending: Why it ended.
    """

    step: int
    total_steps: int
    stopped_by: int | None
    already_done: bool
    is_main: bool = True
    ending: Ending = "finished"


def train(
    config: RunConfig,
    data_dir: Path | str,
    out: Path | str,
    *,
    data_b: Path | str | None = None,
    make_validator: MakeValidator | None = None,
    make_objective: MakeObjective = build_objective,
    callback: Callback | None = None,
    quiet: bool = False,
) -> TrainResult:
    """Train a model, or continue the training in `out` where it stopped.

    Args:
        config: All options.
        data_dir: Dataset folder, see `tandem.data.discover` and `tandem.data.unpaired`; folder or URL of shards;
            or the folder of domain A.
        out: Folder of the run; made, or continued when it holds this run.
        data_b: The folder of domain B, for methods that train on unpaired images.
        make_validator: Makes what measures at validations, for runs that have them; see `tandem.training.validation`.
        make_objective: Builds the method with its initial weights; by default one of Tandem's, as `config` says.
        callback: Called with every new line of the log, a `tandem.report.records.TrainRecord`, `HealthRecord` (of a
            snapshot) or `ValidationRecord`, in the process that writes. If it returns True or ``"stop"`` the run saves
            and ends as with a signal, and if it raises an exception it does so before the exception goes on.
        quiet: Show no progress.

    Raises:
        DataError: Something is wrong with the data; found before the first step.
        CheckpointError: `out` holds a run with other options or other data, or is in use.
        NonFiniteError: A loss or gradient is not finite; the last good state is on the disk.
        PeerError: Another process of the same training is gone.
    """
    require_loggers(config.training.log)
    with silence() if quiet else nullcontext(), join(config.training.device) as process_group, ExitStack() as stack:
        choose_threads(config.training.threads)
        configure_backends(process_group.device, deterministic=config.training.deterministic)
        data = as_location(data_dir)
        run = RunFolder(Path(out), patience_seconds=LOCK_PATIENCE_SECONDS if process_group.size > 1 else 0.0)

        def prepare() -> tuple[RunConfig, Inputs]:
            if process_group.is_main:
                stack.enter_context(run)
            fetch_data(config, data, cache=run.cache)
            second = None if data_b is None else Path(data_b)
            settled = with_ranges(config, data, second, cache=run.cache)
            with TaskProgress("checking images", None, "pairs") as checking:
                budget = budget_of(settled)
                return settled, open_inputs(
                    settled, data, second, cache=run.cache, decoded_bytes=budget, on_check=checking.callback
                )

        config, inputs = process_group.main_first(prepare)
        process_group.require_same("the version of Tandem, the options or the data", digest_of(config, inputs))
        for folder in inputs.splits.values():
            log.info("%s", folder.describe())
        inputs = keep_decoded(config, inputs, process_group.device)
        trainer = Trainer(
            config,
            inputs,
            run,
            process_group,
            data=[data] if data_b is None else [data, data_b],
            make_validator=make_validator,
            make_objective=make_objective,
            callback=callback,
        )
        if process_group.is_main:
            remember_data(run, data, data_b)
        return trainer.run()


class Trainer:
    """One process's part in a run; see `train`."""

    def __init__(
        self,
        config: RunConfig,
        inputs: Inputs,
        run: RunFolder,
        process_group: ProcessGroup,
        *,
        data: Sequence[Path | str] = (),
        make_validator: MakeValidator | None = None,
        make_objective: MakeObjective = build_objective,
        callback: Callback | None = None,
    ) -> None:
        self.config, self.inputs, self.folder, self.process_group = config, inputs, run, process_group
        self.callback = callback
        self.callback_error: Exception | None = None
        self.device = device = process_group.device
        training = config.training
        self.total_steps = config.total_steps(len(inputs.train))
        self.micro_batches = MicroBatches.of_process(
            process_group.rank, process_group.size, per_process=training.accumulate, parts=config.objective.parts
        )
        self.micro_batches.require_equal(training.batch_size)
        self.state = make_state(config, device, micro_batches=self.micro_batches.count, make_objective=make_objective)
        if self.state.objective.features is not None:
            process_group.require_same("the file of --feature-weights", self.state.objective.features.sha256)
        process_group.join(self.state.objective)
        all_reduce = make_all_reduce(process_group, training.overlap)
        self.stepper = Stepper(
            config,
            self.state,
            device=device,
            epoch_images=len(inputs.train),
            total_steps=self.total_steps,
            all_reduce=all_reduce,
            rank=process_group.rank,
        )
        self.store = CheckpointStore(run.checkpoints, keep_last=training.keep_last)
        self.resumed_step = resume(
            self.state,
            self.store,
            config=config,
            inputs=inputs,
            folder=run,
            process_group=process_group,
        )
        if self.resumed_step is None and training.init_from is not None:
            start_from(self.state, Path(training.init_from), process_group)
        total = self.total_steps * training.batch_size
        self.prior = RunPrior(config, inputs, self.state, device=device)
        self.observer = (
            Observer(
                config,
                inputs,
                self.state,
                run=run,
                device=device,
                prior=self.prior,
                total_images=total,
                data=data,
                processes=process_group.size,
            )
            if process_group.is_main
            else Bystander(self.state)
        )
        self.validation = (
            Validation(
                config,
                inputs,
                self.state,
                self.store,
                self.observer,
                device=device,
                prior=self.prior,
                make_validator=make_validator,
            )
            if isinstance(self.observer, Observer)
            else None
        )

    def run(self) -> TrainResult:
        """Train to the end, or until patience ends or somebody asks to stop."""
        state, batch_size = self.state, self.config.training.batch_size
        self.impatient = self._is_impatient()  # a run that has ended by patience
        already_done = state.step >= self.total_steps or self.impatient
        if self.process_group.is_main:
            self.folder.write_config(to_yaml(self.config))
        if not already_done:
            self.process_group.on_main(self._require_disk)
            if self.resumed_step is not None:
                log.info("continuing at step %d of %d", state.step, self.total_steps)
            arithmetic = describe_arithmetic(self.device, self.config.training.precision)
            device = describe_device(self.device, processes=self.process_group.size)
            log.info("training on %s, %s; %s", device, arithmetic, describe_load())
            if self.validation is not None:
                self.validation.announce()
        progress = TrainingProgress(self.total_steps * batch_size, images_seen=state.step * batch_size)
        stop = GracefulStop(deaf_seconds=DEAF_SECONDS if self.process_group.size > 1 else 0.0)
        agreement = Agreement(self.process_group)
        try:
            with stop, progress:
                if self.resumed_step is None:
                    self.process_group.on_main(self._save)
                try:
                    if not already_done:
                        self._loop(stop, agreement, progress)
                    stop.settle(agreement.settle)
                    self._conclude(stop)
                    self._tell()
                except NonFiniteError as error:
                    raise self._explained(error) from error
                except LostWorkersError:
                    self._save_what_is_there()
                    raise
            ending = self._ending(stop)
            self._say_how_it_ended(stop, ending, progress, already_done=already_done)
        except KeyboardInterrupt:
            saved = ", ".join(map(str, self.store.steps())) or "none"
            self.observer.page(progress, "stopped", f"Interrupted. Saved steps: {saved}.")
            raise
        except BaseException as error:
            self.observer.page(progress, "failed", f"{type(error).__name__}: {error}")
            raise
        finally:
            self.observer.close()
        if self.callback_error is not None:
            raise self.callback_error
        is_main = self.process_group.is_main
        return TrainResult(state.step, self.total_steps, stop.signal, already_done, is_main, ending)

    def _ending(self, stop: GracefulStop) -> Ending:
        if stop.number:
            return "callback" if stop.by_callback else "signal"
        return "patience" if self.impatient else "finished"

    def _say_how_it_ended(
        self, stop: GracefulStop, ending: Ending, progress: TrainingProgress, *, already_done: bool
    ) -> None:
        """Say it in the log and on the page; only now, because a progress bar would wipe it away."""
        if stop.number:
            name = "the callback" if stop.signal is None else stop.signal.name
            how = f"Stopped by {name}."
            if self.callback_error is not None:
                how = f"Stopped by the callback: {type(self.callback_error).__name__}: {self.callback_error}"
            resume_by = f"tandem train --resume {self.folder.root}"
            log.info("%s: saved step %d; the same command continues, and so does %s", name, self.state.step, resume_by)
            self.observer.page(progress, "stopped", how)
            return
        how = ""
        if self.validation is not None:
            if not already_done:
                self.validation.conclude()
            if ending == "patience":
                how = f"Ended by patience: {self.validation.describe_wait()}."
                log.info("ended by patience at step %d: %s", self.state.step, self.validation.describe_wait())
        self.observer.page(progress, "finished", how)

    def _tell(self) -> bool:
        """Show the callback what is new in the log, and say whether it wishes to stop."""
        if self.callback is None or self.callback_error is not None or not isinstance(self.observer, Observer):
            return False
        try:
            answers = [self.callback(record) for record in self.observer.news()]
        except Exception as error:
            self.callback_error = error  # goes on once the state is saved
            return True
        return any(answer is True or (isinstance(answer, str) and answer == "stop") for answer in answers)

    def _is_impatient(self) -> bool:
        """Whether as many validations as `patience` says have found nothing better; the same in all processes."""
        patience = self.config.validation.patience
        return patience > 0 and bool(
            self.process_group.broadcast(self.validation is not None and self.validation.waited() >= patience)
        )

    def _require_disk(self) -> None:
        assert self.validation is not None
        has_best = bool(self.validation.rule.number)
        need = need_of(self.config, self.state, total_steps=self.total_steps, has_best=has_best)
        require_room(need, self.folder, keep_last=self.config.training.keep_last)

    def _loop(self, stop: GracefulStop, agreement: Agreement, progress: TrainingProgress) -> None:
        training, state = self.config.training, self.state
        loader = make_loader(
            self.inputs.train,
            start=state.step * training.batch_size,
            batch_size=training.batch_size,
            micro_batches=self.micro_batches,
            num_workers=workers_of(self.config),
            pin_memory=self.device.type == "cuda",
        )
        with Feed(to_device(loader, self.device)) as feed:
            while True:
                self.stepper.step([next(feed) for _ in range(self.micro_batches.number)])
                if state.step == 1 or state.step % training.log_every == 0:
                    self.stepper.settle()
                    self.observer.log(progress, waiting=feed.waiting())
                ended = state.step >= self.total_steps
                if not ended:
                    self._take_snapshot()
                stop.by_callback = self._tell() or stop.by_callback
                self.observer.show(progress)
                if ended or self.impatient or agreement.ask(stop.number):
                    return

    def _conclude(self, stop: GracefulStop) -> None:
        """Save the last step: measured at the end of the run, as it is where a signal asked to stop."""
        if not stop.number:
            self._take_snapshot(at_the_end=True)
            return
        self.stepper.settle()
        self.process_group.require_same_weights(self.state.objective.networks)
        if self.process_group.is_main and self.state.step not in self.store.steps():
            self._save()

    def _save_what_is_there(self) -> None:
        """Save the last step of a run that ends between two steps; of several processes the others are amid one."""
        if self.process_group.size == 1 and self.state.step not in self.store.steps():
            self.stepper.settle()
            self._save()

    def _explained(self, error: NonFiniteError) -> NonFiniteError:
        """Say of which step and which files an error is, and what to do."""
        left = (
            f"The last good state is step {self.store.steps()[-1]} in {self.store.folder}. Look at the files; or, in a "
            "new --out, lower --learning-rate, set --clip-grad-norm 1, or use --precision fp32."
        )
        if isinstance(error, BadStepError):
            positions = sorted(p for some in self.process_group.gather(list(error.positions)) for p in some)
            files = ", ".join(file for p in positions for file in self.inputs.train.files_at(p))
            return NonFiniteError(
                f"step {error.step}, {error}. The update was not made. Files of the batch: {files}. {left}"
            )
        return NonFiniteError(f"after step {self.state.step}: {error}. {left}")

    def _take_snapshot(self, *, at_the_end: bool = False) -> None:
        """Take stock at a step where the fixed inputs are measured or the model is validated, and at the end."""
        step, every = self.state.step, self.config.validation.validate_every
        measures, validates = step % self.config.training.snapshot_every == 0, every > 0 and step % every == 0
        if at_the_end:
            measures, validates = self.process_group.broadcast(self._open_at_the_end())
        if not (measures or validates):
            return
        self.stepper.settle()
        self.process_group.require_same_weights(self.state.objective.networks)
        self.process_group.on_main(
            lambda: self._take_stock(measures=measures, validates=validates, at_the_end=at_the_end)
        )
        if validates and not at_the_end:
            self.impatient = self._is_impatient()

    def _open_at_the_end(self) -> list[bool]:
        """Whether the last step has yet to be measured and validated, which only the main process knows."""
        if self.validation is None or isinstance(self.observer, Bystander):
            return [False, False]
        return [not self.observer.has(HealthRecord), self.validation.is_due_at_the_end()]

    def _take_stock(self, *, measures: bool, validates: bool, at_the_end: bool) -> None:
        """Measure, draw and validate; save the state and renew the model where it is worth it."""
        assert self.validation is not None
        self.folder.require_there()
        numbers = self.observer.measure() if measures else None
        if self.validation.decides:
            numbers = self.validation.run() if validates else None
        standing = self.validation.standing(numbers)
        if measures or at_the_end or self.validation.beats_the_best(standing.score):
            self._save(standing)

    def _save(self, standing: Standing = NOT_MEASURED) -> None:
        self.folder.require_there()
        prior = self.prior.fitted()
        metadata = self.state.metadata() | {
            "config": to_flat(self.config),
            "data_fingerprint": self.inputs.fingerprint,
            "networks": specifications(self.state.objective.networks),
            "prior": None if prior is None else asdict(prior.entry),
        }
        self.observer.sync()
        # The checkpoint comes last: where there is one, everything else of its step is on the disk.
        export_model(self.folder.model, state=self.state, config=self.config, inputs=self.inputs, prior=prior)
        assert self.validation is not None
        self.store.save(
            self.state.step,
            self.state.tensors() | ({} if prior is None else prior.tensors(PRIOR_PREFIX)),
            metadata,
            score=standing.score,
            rule=self.validation.rule.key,
            final=self.validation.is_off_turn(),
            measured=standing.measured,
        )
        self.validation.tell()
