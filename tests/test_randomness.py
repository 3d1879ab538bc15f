"""Streams keyed by (seed, individual, purpose)."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from evolve.randomness import generator, replicate_seed

keys = st.tuples(st.integers(0, 10**9), st.integers(0, 10**6), st.text(max_size=20))


@given(key=keys)
def test_the_same_key_gives_the_same_numbers(key: tuple[int, int, str]) -> None:
    assert generator(*key).random() == generator(*key).random()


@given(one=keys, other=keys)
def test_another_key_gives_other_numbers(one: tuple[int, int, str], other: tuple[int, int, str]) -> None:
    same = generator(*one).random() == generator(*other).random()
    assert same == (one == other)


@given(bits=st.integers(1, 1000))
def test_numbers_have_the_bits_that_were_asked_for(bits: int) -> None:
    rng = generator(1, 2, "bits")
    numbers = [rng.getrandbits(bits) for _ in range(64)]
    assert all(0 <= number < 2**bits for number in numbers)
    assert max(numbers).bit_length() >= bits - 16


def test_numbers_are_uniform_and_independent() -> None:
    rng = generator(3, 4, "uniform")
    values = [rng.random() for _ in range(20_000)]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    lagged = sum((a - mean) * (b - mean) for a, b in pairwise(values)) / len(values)
    assert abs(mean - 0.5) < 5 * (1 / 12 / 20_000) ** 0.5
    assert abs(variance - 1 / 12) < 0.002
    assert abs(lagged / variance) < 5 / 20_000**0.5
    counts = Counter(rng.randrange(7) for _ in range(70_000))
    assert all(abs(count - 10_000) < 500 for count in counts.values())


def test_replicate_seeds_are_a_fixed_list_of_distinct_seeds() -> None:
    seeds = [replicate_seed(k) for k in range(1000)]
    assert len(set(seeds)) == 1000
    assert seeds[:2] == [replicate_seed(0), replicate_seed(1)]
    assert all(0 <= seed < 2**31 for seed in seeds)
