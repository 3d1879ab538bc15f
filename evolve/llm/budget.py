"""Keeps --max-cost and --max-tokens with requests in flight: the most a request can take is set aside first."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from evolve.errors import UserError
from evolve.llm.model import Model


@dataclass(frozen=True)
class Spent:
    """Settled so far. `cost` is of the exchanges whose cost is known; the others are only counted."""

    tokens: int = 0  # input and output
    cost: float = 0.0
    exchanges: int = 0
    unpriced: int = 0  # exchanges whose cost is not known

    def plus(self, tokens: int, cost: float | None) -> Spent:
        return Spent(
            self.tokens + tokens, self.cost + (cost or 0.0), self.exchanges + 1, self.unpriced + (cost is None)
        )


@dataclass(frozen=True, eq=False)
class Reservation:
    """What a request in flight may take at most; `cost` is None where the price is not known."""

    tokens: int
    cost: float | None


class Budget:
    """Spent plus reserved never exceeds a cap, as long as no request takes more than was reserved for it.

    May be used from several threads. None: no cap.
    """

    def __init__(
        self, *, max_cost: float | None = None, max_tokens: int | None = None, spent: Spent | None = None
    ) -> None:
        """`spent`: what earlier runs of the search have settled."""
        self.max_cost = max_cost
        self.max_tokens = max_tokens
        self._spent = spent or Spent()
        self._reserved: set[Reservation] = set()
        self._lock = threading.Lock()

    def check(self, models: Iterable[Model]) -> None:
        """Raise UserError where a cap on the cost cannot be kept because a price is not known."""
        unpriced = [model.name for model in models if not model.priced]
        if self.max_cost is not None and unpriced:
            raise UserError(
                f"--max-cost cannot be kept: the price of {', '.join(unpriced)} is not known. "
                "Give the model's prices in the config file, or use --max-tokens."
            )

    @property
    def spent(self) -> Spent:
        with self._lock:
            return self._spent

    @property
    def in_flight(self) -> int:
        """Reservations that are not settled: while there are any, room may come back."""
        with self._lock:
            return len(self._reserved)

    def reserve(self, tokens: int, cost: float | None) -> Reservation | None:
        """Set aside what a request may take at most; None where the caps leave no room for it now.

        Raises ValueError for an unknown cost under a cap on it: `check` told so before.
        """
        if cost is None and self.max_cost is not None:
            raise ValueError("a request of unknown cost under a cap on the cost")
        with self._lock:
            if self.max_tokens is not None:
                pending = sum(one.tokens for one in self._reserved)
                if self._spent.tokens + pending + tokens > self.max_tokens:
                    return None
            if self.max_cost is not None:
                pending_cost = sum(one.cost or 0.0 for one in self._reserved)
                if self._spent.cost + pending_cost + (cost or 0.0) > self.max_cost:
                    return None
            reservation = Reservation(tokens, cost)
            self._reserved.add(reservation)
            return reservation

    def settle(self, reservation: Reservation, tokens: int, cost: float | None) -> None:
        """The request took this much. Where its cost is not told although the price is known, all of the
        reserved cost counts as spent: the cap is kept, if too early."""
        with self._lock:
            self._reserved.remove(reservation)
            self._spent = self._spent.plus(tokens, reservation.cost if cost is None else cost)

    def forfeit(self, reservation: Reservation) -> None:
        """Nobody knows what the request took (a timeout, a dropped connection): count all that was reserved."""
        self.settle(reservation, reservation.tokens, reservation.cost)

    def release(self, reservation: Reservation) -> None:
        """The request took nothing: it was refused, or never sent."""
        with self._lock:
            self._reserved.remove(reservation)
