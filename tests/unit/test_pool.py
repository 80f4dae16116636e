"""The pool of earlier fakes: how it fills, what it swaps and how often, and its state."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tandem.config.cyclegan import CycleGANConfig
from tandem.config.data import DataConfig
from tandem.objectives.cyclegan import CycleGAN
from tandem.objectives.pool import ImagePool

CPU = torch.device("cpu")


def numbered(*numbers: int) -> Tensor:
    """Images of one pixel that tell which ones they are."""
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None, None]


def draws(*pairs: tuple[float, float]) -> Tensor:
    return torch.tensor(pairs)


def filled(size: int) -> ImagePool:
    pool = ImagePool(size)
    pool.exchange(numbered(*range(size)), torch.zeros(size, 2))
    return pool


def kept(pool: ImagePool) -> list[float]:
    return pool.tensors()["images"].flatten().tolist()


def test_it_fills_first() -> None:
    """Whatever is drawn, until it is full every fake is stored and shown."""
    pool = ImagePool(3)
    assert pool.tensors() == {}
    for start in (0, 2):
        shown = pool.exchange(numbered(start, start + 1), torch.zeros(2, 2))
        assert shown.flatten().tolist()[0] == start
    assert pool.count == 3
    # The fourth found it full: with a draw of 0 it took the place of the first, which was shown.
    assert shown.flatten().tolist() == [2, 0]
    assert kept(pool) == [3, 1, 2]


@pytest.mark.parametrize(
    ("draw", "shown", "after"),
    [
        ((0.0, 0.0), 0, [9, 1, 2, 3]),
        ((0.49, 0.26), 1, [0, 9, 2, 3]),
        ((0.49, 0.99999999), 3, [0, 1, 2, 9]),
        ((0.5, 0.0), 9, [0, 1, 2, 3]),
        ((0.99, 0.5), 9, [0, 1, 2, 3]),
    ],
)
def test_a_full_pool_swaps_or_not(draw: tuple[float, float], shown: int, after: list[int]) -> None:
    pool = filled(4)
    assert pool.exchange(numbered(9), draws(draw)).item() == shown
    assert kept(pool) == after


def test_a_batch_is_one_fake_after_the_other() -> None:
    """The second of them can meet the first."""
    pool = filled(2)
    shown = pool.exchange(numbered(7, 8, 9), draws((0.1, 0.6), (0.1, 0.6), (0.9, 0.6)))
    assert shown.flatten().tolist() == [1, 7, 9]
    assert kept(pool) == [0, 8]


def test_half_are_swapped_and_all_places_are_as_likely() -> None:
    """4000 exchanges with the method's own draws: within four standard errors, and χ² of 3 degrees below 16.3."""
    method = CycleGAN(CycleGANConfig(generator_filters=1, discriminator_filters=1), DataConfig(size=64))
    drawn = method.draw(0, range(4000))
    assert drawn.keys() == {"pool_a", "pool_b"}
    assert not torch.equal(drawn["pool_a"], drawn["pool_b"])
    assert torch.equal(method.draw(0, [17])["pool_a"], drawn["pool_a"][17:18])
    pool = filled(4)
    taken = [0, 0, 0, 0]
    for number, draw in enumerate(drawn["pool_a"], 100):
        before = kept(pool)
        shown = pool.exchange(numbered(number), draw[None]).item()
        after = kept(pool)
        assert len(after) == pool.count == 4
        if shown == number:
            assert after == before
            continue
        place = before.index(shown)
        taken[place] += 1
        before[place] = number
        assert after == before
    swaps = sum(taken)
    assert abs(swaps - 2000) < 4 * (4000 * 0.25) ** 0.5
    assert sum((count - swaps / 4) ** 2 / (swaps / 4) for count in taken) < 16.3


def test_the_state_is_the_pool_bit_for_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    for stored in (2, 5, 9):
        pool, other = ImagePool(5), filled(5)
        pool.exchange(torch.rand((stored, 3, 4, 6), generator=generator), torch.rand((stored, 2), generator=generator))
        state = {name: tensor.clone() for name, tensor in pool.tensors().items()}
        assert state["images"].shape == (min(stored, 5), 3, 4, 6)
        other.load(state, device=CPU)
        assert torch.equal(other.tensors()["images"], state["images"])
        for _ in range(6):
            fakes, drawn = torch.rand((2, 3, 4, 6), generator=generator), torch.rand((2, 2), generator=generator)
            assert torch.equal(pool.exchange(fakes, drawn), other.exchange(fakes, drawn))
        assert torch.equal(other.tensors()["images"], pool.tensors()["images"])
    other.load({}, device=CPU)
    assert (other.count, other.tensors()) == (0, {})


def test_what_is_stored_is_a_copy() -> None:
    pool, fakes = ImagePool(2), numbered(1, 2)
    shown = pool.exchange(fakes, torch.zeros(2, 2))
    fakes.zero_()
    shown.zero_()
    assert kept(pool) == [1, 2]


def test_images_of_other_sizes_pass_by() -> None:
    pool = filled(2)
    fakes = torch.rand(2, 1, 3, 5)
    assert pool.exchange(fakes, torch.zeros(2, 2)) is fakes
    assert kept(pool) == [0, 1]


def test_a_pool_of_none_is_left_out() -> None:
    options: dict[str, Any] = {"generator_filters": 1, "discriminator_filters": 1, "generator_blocks": 1}
    method = CycleGAN(CycleGANConfig(**options, pool_size=0), DataConfig(size=32))
    assert method.draw(0, [0]) == {}
    images = {name: torch.rand(1, 3, 32, 32) for name in "ab"}
    method.discriminator_terms(images, method.fakes(images))
    assert all(pool.tensors() == {} for pool in method.pools.values())


class Calls(TorchDispatchMode):
    """Notes every operation."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_the_device() -> None:
    """No value is read back by the host, neither while the pool fills nor when it swaps."""
    pool = ImagePool(2)
    with Calls() as calls:
        for _ in range(3):
            pool.exchange(torch.rand(1, 3, 4, 4), torch.rand(1, 2))
    assert "aten.index_copy_.default" in calls.names
    waiting = ("_local_scalar_dense", "nonzero", "masked_select", "equal")
    assert [name for name in calls.names if any(word in name for word in waiting)] == []
    with Calls() as control:
        bool(torch.rand(1) < 0.5)
    assert any("_local_scalar_dense" in name for name in control.names)


def test_processes_keep_one_pool() -> None:
    """Each is shown its rows of what one process with the joined batch would be shown, and stores the same."""
    generator = torch.Generator().manual_seed(3)
    alone, shared = ImagePool(3), [ImagePool(3), ImagePool(3)]
    for step in range(6):
        fakes, drawn = numbered(*range(4 * step, 4 * step + 4)), torch.rand((4, 2), generator=generator)
        expected = alone.exchange(fakes, drawn)
        for rank, pool in enumerate(shared):
            whole = {4: fakes, 2: drawn}
            pool.join(lambda rows, whole=whole: whole[rows.ndim], rank=rank)
            own = slice(2 * rank, 2 * rank + 2)
            assert torch.equal(pool.exchange(fakes[own], drawn[own]), expected[own])
            assert kept(pool) == kept(alone)
    assert kept(alone) != [0, 1, 2]
