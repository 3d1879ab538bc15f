"""Caps are kept with requests in flight, across restarts, and without knowing every price."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.errors import UserError
from evolve.llm.budget import Budget, Reservation, Spent
from evolve.llm.model import Model


@settings(deadline=None, derandomize=True)
@given(
    st.integers(0, 500),
    st.floats(0, 5),
    st.lists(st.tuples(st.sampled_from("rrsfx"), st.integers(0, 100), st.floats(0, 1), st.floats(0, 1)), max_size=60),
)
def test_the_caps_are_never_passed(
    max_tokens: int, max_cost: float, steps: list[tuple[str, int, float, float]]
) -> None:
    """Whatever the order of requests, answers, faults and refusals."""
    budget = Budget(max_cost=max_cost, max_tokens=max_tokens)
    held: list[Reservation] = []
    for step, tokens, cost, share in steps:
        if step == "r":
            reservation = budget.reserve(tokens, cost)
            held += [reservation] if reservation else []
        elif held:
            one = held.pop(0)
            assert one.cost is not None
            if step == "s":
                budget.settle(one, int(one.tokens * share), one.cost * share)
            elif step == "f":
                budget.forfeit(one)
            else:
                budget.release(one)
        assert budget.spent.tokens + sum(one.tokens for one in held) <= max_tokens
        assert budget.spent.cost + sum(one.cost or 0 for one in held) <= max_cost + 1e-9
        assert budget.in_flight == len(held)


def test_room_comes_back_when_less_was_taken_than_reserved() -> None:
    budget = Budget(max_tokens=100)
    first = budget.reserve(90, 1.0)
    assert first is not None
    assert budget.reserve(20, 1.0) is None
    budget.settle(first, 30, 0.1)
    assert budget.reserve(70, 1.0) is not None
    assert budget.reserve(1, 1.0) is None


def test_a_restart_goes_on_from_what_was_spent() -> None:
    before = Budget(max_cost=1.0)
    reservation = before.reserve(1000, 0.9)
    assert reservation is not None
    before.settle(reservation, 800, 0.7)
    after = Budget(max_cost=1.0, spent=before.spent)
    assert after.reserve(1000, 0.4) is None
    assert after.reserve(1000, 0.2) is not None
    assert after.spent == Spent(tokens=800, cost=0.7, exchanges=1, unpriced=0)


def test_an_unknown_price_is_counted_and_not_guessed() -> None:
    budget = Budget(max_tokens=1000)
    reservation = budget.reserve(500, None)
    assert reservation is not None
    budget.settle(reservation, 400, None)
    assert budget.spent == Spent(tokens=400, cost=0.0, exchanges=1, unpriced=1)


def test_a_cost_that_is_not_told_counts_as_all_that_was_reserved() -> None:
    budget = Budget(max_cost=1.0)
    reservation = budget.reserve(500, 0.6)
    assert reservation is not None
    budget.settle(reservation, 400, None)
    assert budget.spent == Spent(tokens=400, cost=0.6, exchanges=1, unpriced=0)


def test_a_cap_on_the_cost_needs_prices() -> None:
    models = [Model("a", input_price=1, output_price=1), Model("b"), Model("c")]
    with pytest.raises(UserError, match=r"price of b, c is not known.*--max-tokens"):
        Budget(max_cost=1.0).check(models)
    Budget(max_tokens=5).check(models)
    Budget(max_cost=1.0).check(models[:1])
    with pytest.raises(ValueError, match="unknown cost"):
        Budget(max_cost=1.0).reserve(1, None)


def test_a_reservation_is_settled_once() -> None:
    budget = Budget()
    reservation = budget.reserve(1, None)
    assert reservation is not None
    budget.release(reservation)
    with pytest.raises(KeyError):
        budget.settle(reservation, 1, None)


def test_threads_together_keep_the_cap() -> None:
    budget = Budget(max_tokens=1000)
    granted: list[Reservation] = []
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        for _ in range(50):
            reservation = budget.reserve(7, None)
            if reservation is not None:
                granted.append(reservation)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 1000 // 7
