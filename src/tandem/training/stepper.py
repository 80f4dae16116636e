"""A run's steps: what each computes follows from the configuration, the batch's positions and the step's number."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tandem import rng
from tandem.config.run import RunConfig
from tandem.data.loader import Batch, images_in
from tandem.errors import NonFiniteError
from tandem.training.acceleration import make_run_step
from tandem.training.device import image_layout, make_autocast
from tandem.training.finite import FiniteGuard, RefusedStepError
from tandem.training.optimizers import learning_rate_factor, set_learning_rate
from tandem.training.state import TrainingState
from tandem.training.step import AllReduce, StepOptions

LEAST_SCALE = 2.0**-14
"""A scale of fp16's losses under which gradients overflow for another reason than their size."""


class BadStepError(NonFiniteError):
    """A step whose update was refused.

    Attributes:
        step: Its number, from 1.
        positions: Of its samples in this process.
    """

    def __init__(self, message: str, *, step: int, positions: Sequence[int]) -> None:
        super().__init__(message)
        self.step, self.positions = step, positions


class Stepper:
    """Does the steps of a run, changing its state.

    Args:
        config: All options.
        state: Of the run; what it holds is on `device`.
        device: Where networks compute.
        epoch_images: Positions in an epoch, for the learning rate.
        total_steps: Length of the run, for the learning rate and for what joins late.
        all_reduce: See `train_step`.
        rank: The number of this process among those that share each step.
    """

    def __init__(
        self,
        config: RunConfig,
        state: TrainingState,
        *,
        device: torch.device,
        epoch_images: int,
        total_steps: int,
        all_reduce: AllReduce | None = None,
        rank: int = 0,
    ) -> None:
        self._config, self._state, self._device, self._rank = config, state, device, rank
        self._epoch_images, self._total_steps = epoch_images, total_steps
        self._layout = image_layout(device)
        self._options = StepOptions(
            clip_grad_norm=config.training.clip_grad_norm,
            autocast=make_autocast(device, config.training.precision),
            scaler=state.scaler,
            guard=FiniteGuard(deferred=device.type != "cpu"),
        )
        self._run = make_run_step(
            state.objective,
            state.optimizers,
            self._options,
            device=device,
            acceleration="none" if config.training.recompute_activations else config.training.acceleration,
            twice_differentiated=state.objective.differentiates_gradients,
            all_reduce=all_reduce,
            overlap=config.training.overlap == "on",
        )
        self._unsettled: list[list[int]] = []
        self._rate: float | None = None

    def step(self, batches: Sequence[Batch]) -> None:
        """Do one step with this process's micro-batches of its batch.

        Raises:
            BadStepError: A term or gradient is not finite. Where the device works ahead `settle` says so later.
        """
        training, state = self._config.training, self._state
        # Dropout draws from the global generator: a seed of its own for each step makes it a function of the step,
        # and of the process, which has other samples.
        torch.manual_seed(rng.derive_seed(training.seed, "step", rank=self._rank, position=state.step))
        if state.joining is not None:
            state.objective.joined = state.joining.has_joined(state.step, self._total_steps)
        self._set_learning_rate()
        positions = [position for batch in batches for position in batch["positions"]]
        self._unsettled.append(positions)
        try:
            terms = self._run([self._prepare(batch) for batch in batches])
        except NonFiniteError as error:
            raise BadStepError(str(error), step=state.step + 1, positions=positions) from error
        state.step += 1
        state.meter.add(terms)
        if state.joining is not None:
            state.joining.observe(terms, state.step, self._total_steps)
        if state.ema is not None:
            seen = state.images_before + state.step * training.batch_size
            state.ema.update(images_seen=seen, batch_size=training.batch_size)

    def settle(self) -> None:
        """Wait for the device and make sure that all steps so far were good ones: to be asked before anything is saved.

        Raises:
            BadStepError: One was refused, and with it all later ones; the weights are those before it.
            NonFiniteError: The gradients overflow in fp16 whatever the scale.
        """
        unsettled, self._unsettled = self._unsettled, []
        try:
            self._options.guard.settle()
        except RefusedStepError as error:
            step = self._state.step - len(unsettled) + error.good_steps + 1
            raise BadStepError(str(error), step=step, positions=unsettled[error.good_steps]) from error
        scaler = self._options.scaler
        if scaler is not None and scaler.get_scale() < LEAST_SCALE:
            raise NonFiniteError(
                f"the gradients overflow in fp16 even with losses scaled by {scaler.get_scale():.1g}, so no update is "
                "made any more: use --precision bf16 or fp32"
            )

    def _prepare(self, batch: Batch) -> dict[str, Tensor]:
        drawn = self._state.objective.draw(self._config.training.seed, batch["positions"])
        return {name: self._to_device(tensor) for name, tensor in (images_in(batch) | drawn).items()}

    def _to_device(self, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        layout = self._layout if tensor.ndim == 4 else torch.preserve_format
        return tensor.to(self._device, non_blocking=True, memory_format=layout)

    def _set_learning_rate(self) -> None:
        training, step = self._config.training, self._state.step
        factor = learning_rate_factor(
            training.lr_schedule,
            epoch=step * training.batch_size // self._epoch_images,
            constant_epochs=training.lr_constant_epochs,
            decay_epochs=training.lr_decay_epochs,
            progress=step / self._total_steps,
        )
        warm_up = min(1.0, (step + 1) / training.lr_warmup_steps) if training.lr_warmup_steps else 1.0
        kept, rate = training.learning_rate * warm_up, training.learning_rate * factor * warm_up
        if rate != self._rate:
            for phase in self._state.objective.phases:
                for name in phase.networks:
                    set_learning_rate(self._state.optimizers[name], kept if phase.keeps_rate else rate)
            self._rate = rate
