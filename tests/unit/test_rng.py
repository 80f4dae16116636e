"""Random numbers are functions of (seed, stream, rank, position), fixed forever."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tandem.rng import derive_seed, normal, numpy_generator

GOLDEN = {
    (0, "augment", 0, 0): 4971541976100698998,
    (1, "augment", 0, 0): 1869858754311966954,
    (0, "eps", 1, 0): 7406330237362348827,
    (0, "eps", 0, 1): 3899521638955836042,
    (2**40, "initialise/generator", 3, 10**9): 3031159961023083292,
}


@pytest.mark.parametrize(("arguments", "expected"), GOLDEN.items())
def test_seeds_never_change(arguments: tuple[int, str, int, int], expected: int) -> None:
    seed, stream, rank, position = arguments
    assert derive_seed(seed, stream, rank=rank, position=position) == expected


def test_seed_is_the_top_63_bits_of_blake2b() -> None:
    digest = hashlib.blake2b(b"5\x1fabc\x1f2\x1f9", digest_size=8).hexdigest()
    assert derive_seed(5, "abc", rank=2, position=9) == int(digest, 16) // 2


def test_draws_never_change() -> None:
    """A change here would give every published seed other pictures."""
    drawn = normal(0, "eps", [0, 5], (4,))
    expected = [[0.1253005, -0.7254831, -1.2118193, 1.7539653], [1.1455851, -0.7909093, -1.1356437, 2.1691355]]
    assert drawn.dtype == torch.float32
    np.testing.assert_allclose(drawn.numpy(), expected, rtol=1e-5)
    sample = numpy_generator(7, "sample", position=3).standard_normal(3)
    np.testing.assert_allclose(sample, [0.6854467940396556, 0.8923537846299765, 0.8435054193648535], rtol=1e-12)


arguments = st.tuples(
    st.integers(0, 2**63), st.sampled_from(["a", "b", "a/b", "eps"]), st.integers(0, 99), st.integers(0, 10**9)
)


@given(arguments, arguments)
def test_each_argument_matters(first: tuple[int, str, int, int], second: tuple[int, str, int, int]) -> None:
    one, two = (derive_seed(s, name, rank=r, position=p) for s, name, r, p in (first, second))
    assert (one == two) == (first == second)
    assert 0 <= one < 2**63


@given(
    positions=st.lists(st.integers(0, 10**6), max_size=8),
    cut=st.integers(0, 8),
    shape=st.lists(st.integers(1, 20), max_size=2),
)
def test_normal_does_not_depend_on_the_batches(positions: list[int], cut: int, shape: list[int]) -> None:
    whole = normal(3, "z", positions, shape)
    assert whole.shape == (len(positions), *shape)
    parts = torch.cat([normal(3, "z", positions[:cut], shape), normal(3, "z", positions[cut:], shape)])
    assert torch.equal(whole, parts)


def test_drawing_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    normal(0, "x", [1, 2], (3,))
    numpy_generator(0, "x").random()
    assert torch.equal(torch.rand(3), expected)


def test_normal_is_standard_normal_and_streams_are_independent() -> None:
    one, two = (normal(0, stream, range(1000), (2,)).flatten().numpy() for stream in ("eps", "z_random"))
    for values in (one, two):
        assert stats.kstest(values, "norm").pvalue > 0.01
    assert abs(stats.pearsonr(one, two).statistic) < 0.07
    assert abs(stats.pearsonr(one[:-1], one[1:]).statistic) < 0.07
