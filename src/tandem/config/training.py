"""How a run trains: length, optimiser, precision, what it writes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tandem.config.options import option, read_choices

TrainingPrecision = Literal["fp32", "bf16", "fp16"]
Acceleration = Literal["auto", "none", "graphs", "compile"]
Overlap = Literal["auto", "on", "off"]
LoggerName = Literal["tensorboard", "wandb", "csv"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Options of the training loop. None of them changes what the method is."""

    steps: int | None = option(None, "length of the run in optimiser steps", at_least=1)
    epochs: int | None = option(None, "length of the run in passes over the data; 200 if neither is given", at_least=1)
    batch_size: int = option(2, "pairs per step, of all processes and micro-batches together", at_least=1)
    accumulate: int = option(
        1, "micro-batches that a process splits its part of a batch into, one after the other: less memory", at_least=1
    )
    recompute_activations: bool = option(
        False, "keep no activations of a network but compute them again in the backward pass: less memory, more time"
    )
    init_from: str | None = option(
        None,
        "start from the weights of a run (its newest checkpoint), a checkpoint or a model, as far as they fit",
        metavar="RUN|MODEL",
    )
    freeze: str = option(
        "",
        "networks, or parts of them, that are not trained, separated by commas, e.g. encoder,generator.down.0-3",
        metavar="NAMES",
        joins=",",
    )
    seed: int = option(0, "everything random follows from it", at_least=0)
    learning_rate: float = option(2e-4, "Adam's base rate", above=0)
    beta1: float = option(0.5, "Adam's first momentum", at_least=0, below=1)
    beta2: float = option(0.999, "Adam's second momentum", at_least=0, below=1)
    lr_schedule: Literal["constant", "linear", "cosine", "half_linear"] = option(
        "constant",
        "shape of the learning rate over time; half_linear is constant for the first half of the run, however long "
        "that is, and then falls to zero",
    )
    lr_warmup_steps: int = option(0, "first steps, over which the learning rate rises to its base rate", at_least=0)
    lr_constant_epochs: int = option(0, "epochs at the base rate before a linear or cosine decay", at_least=0)
    lr_decay_epochs: int = option(0, "epochs of the decay to zero", at_least=0)
    clip_grad_norm: float = option(0.0, "largest gradient norm of each network; 0 is off", at_least=0)
    ema_halflife_images: int = option(
        10_000, "half-life of the moving average of the weights that models are made of; 0 is off", at_least=0
    )
    precision: TrainingPrecision = option(
        "fp32", "bf16 and fp16 run the networks under autocast, fp16 with scaled losses; losses are always fp32"
    )
    acceleration: Acceleration = option(
        "auto",
        "how steps are run: auto and graphs record them as CUDA graphs, compile also compiles the networks; the "
        "numbers are the same",
    )
    overlap: Overlap = option(
        "auto",
        "with several processes, send gradients while the backward that computes them still runs: auto does so in "
        "steps that are not captured, on captures none; the numbers are the same",
    )
    device: str = option(
        "auto", "where it runs; auto is a GPU where there is one", metavar="{auto,cpu,cuda,cuda:N,mps}"
    )
    threads: int | None = option(
        None, "threads of the CPU that compute; by default one for each core that the process may use", at_least=1
    )
    deterministic: bool = option(False, "ask CUDA for deterministic kernels: slower, needed for bit-exact resume there")
    num_workers: int | None = option(
        None,
        "processes that load images; the result does not depend on it; by default one for each core but one, at most 8",
        at_least=0,
    )
    log_every: int = option(50, "steps between lines of metrics.jsonl", at_least=1)
    snapshot_every: int = option(
        1000, "steps between checkpoints, samples, latent health and a fresh model", at_least=1
    )
    keep_last: int = option(
        2, "checkpoints kept beside the best one; that of step 0 stays until there is another", at_least=1
    )
    num_previews: int = option(6, "fixed inputs that are sampled at every snapshot", at_least=1)
    num_preview_samples: int = option(5, "samples of each of them", at_least=2)
    log: tuple[LoggerName, ...] = option(
        (),
        "where numbers go too, with commas between: tensorboard, wandb (images as well; these two are extras), csv",
        metavar="NAMES",
        read=read_choices("--log", LoggerName),
    )

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if self.steps is not None and self.epochs is not None:
            yield "--steps and --epochs both say how long the run is: give one of them"
        in_epochs = self.lr_schedule in {"linear", "cosine"}
        if not in_epochs and (self.lr_constant_epochs or self.lr_decay_epochs):
            yield f"--lr-constant-epochs and --lr-decay-epochs have no effect with --lr-schedule {self.lr_schedule}"
        if in_epochs and not self.lr_decay_epochs:
            yield f"--lr-schedule {self.lr_schedule} needs --lr-decay-epochs"
        if self.recompute_activations and self.acceleration in {"graphs", "compile"}:
            yield f"--recompute-activations and --acceleration {self.acceleration} exclude each other: leave out one"
        if self.device not in {"auto", "cpu", "cuda", "mps"} and not self.device.removeprefix("cuda:").isdigit():
            yield f"--device must be auto, cpu, cuda, cuda:N or mps, not '{self.device}'"
