"""Streams keyed by (seed, individual, purpose)."""

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


def test_replicate_seeds_are_a_fixed_list_of_distinct_seeds() -> None:
    seeds = [replicate_seed(k) for k in range(1000)]
    assert len(set(seeds)) == 1000
    assert seeds[:2] == [replicate_seed(0), replicate_seed(1)]
    assert all(0 <= seed < 2**31 for seed in seeds)
