"""Which gradients are sent while a backward runs, in which order, and what happens to the rest."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from processes import together
from tandem.training import all_reduce
from tandem.training.all_reduce import Finish, OverlappedAllReduce
from tandem.training.process_group import ProcessGroup, make_all_reduce

WIDTH = 8
LAYER_BYTES = 4 * WIDTH * WIDTH


class Link:
    """Notes what is sent, and which gradients were there then; the mean is twice the tensor."""

    def __init__(self, network: nn.Module) -> None:
        self.parameters = list(network.parameters())
        self.sent: list[tuple[list[int], list[bool]]] = []

    def begin(self, tensors: Sequence[Tensor]) -> Finish:
        numbers = [n for t in tensors for n, p in enumerate(self.parameters) if p.grad is t]
        self.sent.append((numbers, [p.grad is not None for p in self.parameters]))

        def finish() -> None:
            for tensor in tensors:
                tensor.mul_(2)

        return finish


def chain(layers: int = 3) -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(layers)))


def backward(network: nn.Module, average: OverlappedAllReduce, *, skipping: int | None = None) -> list[Tensor]:
    """The gradients of one backward, averaged; a layer may be left out."""
    parameters = list(network.parameters())
    for parameter in parameters:
        parameter.grad = None
    x = torch.ones(1, WIDTH)
    for number, layer in enumerate(network.children()):
        x = x if number == skipping else layer(x)
    with average.watch(parameters):
        x.sum().backward()
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    average(gradients)
    return gradients


def test_buckets_are_sent_as_their_gradients_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_reduce, "BUCKET_BYTES", LAYER_BYTES)
    network = chain()
    link = Link(network)
    average = OverlappedAllReduce(link.begin, lambda value: value)
    backward(network, average)
    everything = [True] * 3
    assert link.sent == [([2], everything), ([1], everything), ([0], everything)], "the first time nothing is early"
    link.sent.clear()
    backward(network, average)
    assert link.sent == [([2], [False, False, True]), ([1], [False, True, True]), ([0], everything)]


def test_a_bucket_waits_for_all_of_its_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_reduce, "BUCKET_BYTES", 2 * LAYER_BYTES)
    network = chain()
    link = Link(network)
    average = OverlappedAllReduce(link.begin, lambda value: value)
    backward(network, average)
    link.sent.clear()
    backward(network, average)
    assert link.sent == [([2, 1], [False, True, True]), ([0], [True] * 3)]


def test_every_gradient_is_averaged_once_whatever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a gradient that was expected does not come, and where tensors are averaged that nobody watched."""
    monkeypatch.setattr(all_reduce, "BUCKET_BYTES", LAYER_BYTES)
    network = chain()
    average = OverlappedAllReduce(Link(network).begin, lambda value: value)
    plain = OverlappedAllReduce(lambda _: lambda: None, lambda value: value)
    for skipping in (None, None, 1, None, 2):
        found, expected = (backward(network, one, skipping=skipping) for one in (average, plain))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, 2 * other)
    terms = torch.ones(2)
    average([terms])
    assert terms.tolist() == [2.0, 2.0]


def test_all_follow_the_order_of_the_main_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the processes complete their gradients in different orders, which would mix them up."""
    monkeypatch.setattr(all_reduce, "BUCKET_BYTES", 1)

    def work(process_group: ProcessGroup) -> list[Any]:
        average = make_all_reduce(process_group, "on")
        assert isinstance(average, OverlappedAllReduce)
        weights = [nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))]
        found = []
        for _ in range(3):
            for weight in weights:
                weight.grad = None
            with average.watch(weights):
                for number in [0, 1] if process_group.is_main else [1, 0]:
                    (weights[number] * 10**number * (1 + process_group.rank)).backward()
            average([weight.grad for weight in weights if weight.grad is not None])
            found.append([float(weight.grad) for weight in weights if weight.grad is not None])
        return found

    assert together(work) == [[[1.5, 15.0]] * 3] * 2


def test_the_first_time_gives_the_bits_of_later_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three processes, whose sums depend on the buckets: a run that is resumed begins with a first time."""
    monkeypatch.setattr(all_reduce, "BUCKET_BYTES", 2 * LAYER_BYTES)

    def work(process_group: ProcessGroup) -> list[Any]:
        torch.manual_seed(process_group.rank)
        network = chain(7)
        found = []
        average = make_all_reduce(process_group, "auto")
        for fresh in (False, False, True):
            average = make_all_reduce(process_group, "auto") if fresh else average
            assert isinstance(average, OverlappedAllReduce)
            found.append([gradient.numpy().copy() for gradient in backward(network, average)])
        return found

    for first, second, resumed in together(work, size=3):
        for gradients in zip(first, second, resumed, strict=True):
            assert len({gradient.tobytes() for gradient in gradients}) == 1


@pytest.mark.parametrize(("overlap", "early"), [("on", True), ("off", False), ("auto", True)])
def test_what_averages(overlap: Any, early: bool) -> None:
    assert (
        together(lambda process_group: isinstance(make_all_reduce(process_group, overlap), OverlappedAllReduce))
        == [early] * 2
    )


def test_one_process_averages_nothing() -> None:
    assert make_all_reduce(ProcessGroup(device=torch.device("cpu")), "on") is None


def test_nothing_is_watched_where_all_gradients_fit_one_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    network = chain()
    link = Link(network)
    average = OverlappedAllReduce(link.begin, lambda value: value)
    backward(network, average)
    monkeypatch.setattr(Tensor, "register_post_accumulate_grad_hook", None)
    assert len(backward(network, average)) == 3
    assert link.sent == [([2, 1, 0], [True] * 3)] * 2
