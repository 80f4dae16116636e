"""CUDA graphs: the kernels of a step, captured once and then launched together.

A step is a few thousand small kernels. On a fast GPU it takes longer to launch them one by one than to run them; a
captured step is launched at once, on the same memory, with the same kernels and the same numbers. What differs from
step to step is written into that memory first: the batch, the learning rates and the seed of dropout.

With several processes the capture is cut where a phase's gradients are averaged, and the averaging stays outside.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tandem.objectives.objective import Objective, StepTensors, Terms
from tandem.training.step import AllReduce

Body = Callable[[Sequence[StepTensors]], Generator[list[Tensor], None, Terms]]
"""Starts a step; see `tandem.training.step.step_body`."""

WARM_UP_STEPS = 3
"""Ordinary steps before the capture: they choose kernels, compile, and allocate what stays."""


def obstacle(objective: Objective, batches: Sequence[StepTensors]) -> str | None:
    """Why steps of this kind cannot be captured, in words; None if they can."""
    if len(batches) > 1:
        return "every pass of --accumulate seeds its dropout anew"
    if not all(tensor.is_floating_point() for tensor in batches[0].values()):
        return "the method draws patch locations whose number depends on its maps, on the host"
    pools = [(batches[0][name], pool) for name, pool in objective.pools.items()]
    if any(pool.images is not None and pool.images.shape[1:] != images.shape[1:] for images, pool in pools):
        return "the images of the pool have other sizes"
    return None


@dataclass(frozen=True)
class _Capture:
    """A captured step.

    Attributes:
        batches: The memory that the batch is written to.
        graphs: Its pieces, with one for every pause and one at the end.
        pauses: The tensors of each pause.
        terms: Where the terms are found afterwards.
    """

    batches: list[dict[str, Tensor]]
    graphs: list[torch.cuda.CUDAGraph]
    pauses: list[list[Tensor]]
    terms: Terms


class GraphedSteps:
    """Runs steps, from the fourth of a kind on as a capture.

    Args:
        body: Starts a step.
        objective: The method; as long as its pools are not full, nothing is captured.
        device: A CUDA device.
        all_reduce: See `tandem.training.step.train_step`.
    """

    def __init__(self, body: Body, objective: Objective, *, device: torch.device, all_reduce: AllReduce | None) -> None:
        self._body, self._objective, self._device, self._all_reduce = body, objective, device, all_reduce
        self._stream = torch.cuda.Stream(device)
        self._capture: _Capture | None = None
        self._ordinary_steps = 0
        self._joined = objective.joined

    def __call__(self, batches: Sequence[StepTensors]) -> Terms:
        """Do one step; the terms are valid until the next one.

        Raises:
            CaptureError: The step could not be captured, and has not been done.
        """
        if self._joined != self._objective.joined:  # other phases: another kind of step
            self._joined, self._capture, self._ordinary_steps = self._objective.joined, None, 0
        if self._capture is None and self._ordinary_steps >= WARM_UP_STEPS and self._pools_are_full():
            self._capture = self._record(batches)
        capture = self._capture
        if capture is None or _shapes(batches) != _shapes(capture.batches):
            self._ordinary_steps += 1
            return self._ordinary(batches)
        for memory, batch in zip(capture.batches, batches, strict=True):
            for name, tensor in memory.items():
                tensor.copy_(batch[name], non_blocking=True)
        for graph, tensors in zip(capture.graphs, capture.pauses, strict=True):
            graph.replay()
            if tensors and self._all_reduce is not None:
                self._all_reduce(tensors)
        return capture.terms

    def _ordinary(self, batches: Sequence[StepTensors]) -> Terms:
        """A step kernel by kernel, on the stream that will be captured."""
        here = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            body = self._body(batches)
            terms: Terms | None = None
            while terms is None:
                tensors, terms = _advance(body)
                if tensors and self._all_reduce is not None:
                    self._all_reduce(tensors)
        here.wait_stream(self._stream)
        return terms

    def _record(self, batches: Sequence[StepTensors]) -> _Capture:
        memory = [{name: tensor.clone() for name, tensor in batch.items()} for batch in batches]
        graphs: list[torch.cuda.CUDAGraph] = []
        pauses: list[list[Tensor]] = []
        pool = torch.cuda.graph_pool_handle()
        body = self._body(memory)
        terms: Terms | None = None
        try:
            while terms is None:
                graph = torch.cuda.CUDAGraph()
                # Other threads, such as the one that pins batches, may go on with their work.
                with torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"):
                    tensors, terms = _advance(body)
                    while self._all_reduce is None and terms is None:
                        tensors, terms = _advance(body)
                graphs.append(graph)
                pauses.append(tensors)
        except RuntimeError as error:
            raise CaptureError(str(error)) from error
        finally:
            body.close()
        return _Capture(memory, graphs, pauses, terms)

    def _pools_are_full(self) -> bool:
        return all(pool.count >= pool.size for pool in self._objective.pools.values())


class CaptureError(Exception):
    """A step could not be captured."""


def _advance(body: Generator[list[Tensor], None, Terms]) -> tuple[list[Tensor], Terms | None]:
    """Run to the next pause, or to the end, where the terms are."""
    try:
        return next(body), None
    except StopIteration as end:
        return [], end.value


def _shapes(batches: Sequence[StepTensors]) -> list[dict[str, torch.Size]]:
    return [{name: tensor.shape for name, tensor in batch.items()} for batch in batches]
