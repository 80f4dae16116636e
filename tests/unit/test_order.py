"""The order of an epoch: each item once, near ones together where shards are read in turn, by position alone."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tandem.data.order import WINDOW_SHARDS, GlobalOrder, ShardOrder

COUNTS = st.lists(st.integers(1, 9), min_size=1, max_size=13)


@given(counts=COUNTS, seed=st.integers(0, 2**40), epoch=st.integers(0, 10**6))
def test_an_epoch_has_each_item_once_and_reads_shards_in_turn(counts: list[int], seed: int, epoch: int) -> None:
    order, total = ShardOrder(seed, counts), sum(counts)
    items = [order.index(epoch, offset) for offset in range(total)]
    assert sorted(items) == list(range(total))
    again = ShardOrder(seed, counts)
    assert [again.index(epoch, offset) for offset in reversed(range(total))] == items[::-1]
    shard_of = np.repeat(np.arange(len(counts)), counts)
    seen: list[set[int]] = []
    position = 0
    while position < total:  # whole windows of shards, one after the other
        window: set[int] = set()
        while position < total and (len(window) < WINDOW_SHARDS or shard_of[items[position]] in window):
            window.add(int(shard_of[items[position]]))
            position += 1
        assert not any(window & other for other in seen)
        seen.append(window)


def test_epochs_seeds_and_domains_differ() -> None:
    counts = [5] * 8
    orders = [ShardOrder(0, counts), ShardOrder(1, counts), ShardOrder(0, counts, stream="/b")]
    sequences = {tuple(o.index(e, i) for i in range(40)) for o in orders for e in (0, 1)}
    assert len(sequences) == 6


def test_windows_are_shuffled_by_draws_of_their_own() -> None:
    big = ShardOrder(0, [50] * (2 * WINDOW_SHARDS))
    first, second = (
        [big.index(0, start + offset) % 50 for offset in range(50 * WINDOW_SHARDS)] for start in (0, 50 * WINDOW_SHARDS)
    )
    assert np.mean(np.equal(first, second)) < 0.1


def test_samples_of_a_window_are_mixed() -> None:
    order = ShardOrder(0, [100] * WINDOW_SHARDS)
    first = [order.index(epoch, 0) // 100 for epoch in range(400)]
    assert stats.chisquare(np.bincount(first, minlength=WINDOW_SHARDS)).pvalue > 0.01
    neighbours = np.zeros((WINDOW_SHARDS, WINDOW_SHARDS))
    sequence = [order.index(0, offset) // 100 for offset in range(100 * WINDOW_SHARDS)]
    for before, after in itertools.pairwise(sequence):
        neighbours[before, after] += 1
    assert stats.chi2_contingency(neighbours).pvalue > 0.01


@pytest.mark.parametrize("shards", [False, True])
def test_draws_are_uniform_over_an_epoch(shards: bool) -> None:
    counts = [3, 1, 7, 2, 5, 4, 6, 2, 8, 3]
    order = ShardOrder(0, counts) if shards else GlobalOrder(0, sum(counts))
    drawn = np.zeros(sum(counts))
    draws = 200 * sum(counts)
    for number in range(draws):
        drawn[order.draw(number % 3, number / draws, np.random.default_rng(number))] += 1
    assert stats.chisquare(drawn).pvalue > 0.01


def test_draws_come_from_the_shards_whose_turn_it_is() -> None:
    order = ShardOrder(0, [10] * 12)
    for share in (0.0, 0.4, 0.999999999):
        windows = {order.draw(0, share, np.random.default_rng(i)) // 10 for i in range(100)}
        assert len(windows) == WINDOW_SHARDS
        assert order.index(0, int(share * 120)) // 10 in windows
