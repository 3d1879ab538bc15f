"""The bandit finds the arm that gains most for its cost, and never starves another."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.bandit import FLOOR, Arm, Bandit, Row

GOOD = Arm("good", "mutation", "tune")
BAD = Arm("bad", "mutation", "tune")
RARE = Arm("rare", "mutation", "radical")
ARMS = (BAD, GOOD, RARE)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def play(bandit: Bandit, gains: dict[Arm, float], costs: dict[Arm, float], rounds: int, seed: int = 1) -> Counter[Arm]:
    """Each arm improves in half of its births, by up to twice its `gains`."""
    rng = random.Random(seed)
    chosen: Counter[Arm] = Counter()
    for _ in range(rounds):
        arm = bandit.choose(rng)
        assert arm is not None
        chosen[arm] += 1
        gain = rng.uniform(0, 4) * gains[arm] if rng.random() < 0.5 else rng.choice([None, -0.1])
        bandit.record(arm, gain, costs[arm])
    return chosen


@pytest.mark.parametrize("unit", [1.0, 1e-4])
def test_the_arm_that_gains_most_is_chosen_most(unit: float) -> None:
    gains = {GOOD: 0.01 * unit, BAD: 0.002 * unit, RARE: 0.0}
    chosen = play(Bandit(ARMS), gains, dict.fromkeys(ARMS, 1.0), 600)
    assert chosen[GOOD] > 0.6 * 600


def test_of_equal_gains_the_cheaper_arm_is_chosen_most() -> None:
    chosen = play(Bandit(ARMS), dict.fromkeys(ARMS, 0.01), {GOOD: 1.0, BAD: 5.0, RARE: 5.0}, 600)
    assert chosen[GOOD] > 0.6 * 600


def test_a_change_is_noticed() -> None:
    bandit = Bandit(ARMS)
    costs = dict.fromkeys(ARMS, 1.0)
    play(bandit, {GOOD: 0.01, BAD: 0.0, RARE: 0.0}, costs, 500)
    chosen = play(bandit, {GOOD: 0.0, BAD: 0.01, RARE: 0.0}, costs, 600, seed=2)
    assert chosen[BAD] > chosen[GOOD]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    st.integers(2, 6),
    st.integers(0, 2**32),
    st.lists(st.tuples(st.integers(0, 5), st.floats(-1, 1), st.floats(0, 100)), max_size=80),
)
def test_every_arm_keeps_its_floor(count: int, seed: int, past: list[tuple[int, float, float]]) -> None:
    """Whatever the past: 0.2 / n of the choices in expectation, less six standard deviations here."""
    arms = [Arm(f"m{i}", "mutation") for i in range(count)]
    bandit = Bandit(arms, rows=[Row(arms[i % count], gain, cost) for i, gain, cost in past])
    rng = random.Random(seed)
    rounds = 1500
    chosen = Counter(bandit.choose(rng) for _ in range(rounds))
    share = FLOOR / count
    least = rounds * share - 6 * (rounds * share * (1 - share)) ** 0.5
    assert all(chosen[arm] > least for arm in arms)


def test_an_arm_that_only_failed_is_still_tried() -> None:
    rows = [Row(BAD, None, 1.0)] * 150 + [Row(GOOD, 0.1, 1.0)] * 150
    bandit = Bandit([BAD, GOOD], rows=rows)
    rng = random.Random(3)
    chosen = Counter(bandit.choose(rng) for _ in range(1000))
    assert 70 < chosen[BAD] < 140


def test_the_same_generator_gives_the_same_choices() -> None:
    runs = [play(Bandit(ARMS), dict.fromkeys(ARMS, 0.01), dict.fromkeys(ARMS, 1.0), 200, seed=9) for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_bandit_rebuilt_from_its_rows_chooses_the_same() -> None:
    rows = [Row(ARMS[i % 3], 0.01 * (i % 5) - 0.01, 1.0 + i % 2) for i in range(400)]
    one, other = Bandit(ARMS, rows=rows), Bandit(ARMS)
    for row in rows:
        other.record(*row)
    choices = [[bandit.choose(rng) for _ in range(50)] for bandit, rng in ((b, random.Random(4)) for b in (one, other))]
    assert choices[0] == choices[1]
    assert one.table() == other.table()


def test_an_arm_rests_and_comes_back() -> None:
    clock = Clock()
    bandit = Bandit(ARMS, clock=clock)
    rng = random.Random(5)
    bandit.rest(GOOD, 60)
    bandit.rest(GOOD, 10)  # a shorter rest does not end a longer one
    clock.now += 30
    assert GOOD not in {bandit.choose(rng) for _ in range(100)}
    clock.now += 29
    assert GOOD not in bandit.awake()
    clock.now += 1
    assert GOOD in {bandit.choose(rng) for _ in range(100)}


def test_all_arms_of_a_model_rest_together_and_none_is_left() -> None:
    arms = [Arm("a", "mutation", "tune"), Arm("a", "crossover"), Arm(None, "catalogue")]
    bandit = Bandit(arms, clock=Clock())
    bandit.rest_model("a", 60)
    assert bandit.awake() == [arms[2]]
    assert bandit.choose(random.Random(1), among=arms[:2]) is None


def test_only_the_arms_that_are_asked_for_are_chosen() -> None:
    rng = random.Random(6)
    bandit = Bandit(ARMS)
    assert {bandit.choose(rng, among=[BAD, RARE]) for _ in range(100)} == {BAD, RARE}


def test_weights_are_priors_that_wear_off() -> None:
    arms = [Arm("a", "mutation"), Arm("b", "mutation")]
    rng = random.Random(7)
    bandit = Bandit(arms, {"a": 9.0, "b": 1.0})
    fresh = Counter(bandit.choose(rng) for _ in range(500))
    assert fresh[arms[0]] > 350
    for _ in range(40):
        bandit.record(arms[0], 0.0, 1.0)
        bandit.record(arms[1], 0.01, 1.0)
    later = Counter(bandit.choose(rng) for _ in range(500))
    assert later[arms[1]] > 350


def test_the_table_says_what_was_seen() -> None:
    rows = [Row(GOOD, 0.02, 2.0), Row(GOOD, None, 4.0), Row(BAD, -1.0, None), Row(Arm("gone", "mutation"), 1.0, 1.0)]
    table = {row.arm: row for row in Bandit(ARMS, rows=rows).table()}
    assert set(table) == set(ARMS)
    assert (table[GOOD].chosen, table[GOOD].improved, table[GOOD].mean_gain, table[GOOD].mean_cost) == (2, 1, 0.01, 3.0)
    assert (table[BAD].chosen, table[BAD].mean_gain, table[BAD].mean_cost) == (1, 0.0, None)


def test_free_arms_are_chosen_without_dividing_by_nothing() -> None:
    bandit = Bandit(ARMS, rows=[Row(arm, 0.01, 0.0) for arm in ARMS])
    assert bandit.choose(random.Random(8)) in ARMS


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="needs arms"):
        Bandit([])
    with pytest.raises(ValueError, match="each of them once"):
        Bandit([GOOD, GOOD])
    with pytest.raises(ValueError, match="above zero"):
        Bandit([GOOD], {"good": 0.0})
    for cost in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="zero or above"):
            Bandit([GOOD]).record(GOOD, 0.1, cost)
