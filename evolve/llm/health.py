"""Which models answer: faults in a row, growing rests, and what is wrong, in words."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection

from evolve.bandit import Bandit
from evolve.llm.ensemble import FATAL
from evolve.llm.faults import LONGEST_REST, ModelError

PATIENCE = 3  # faults in a row before a search that has nothing else gives up on a model


class Health:
    """Lets the arms of a model at fault rest in the bandit, twice as long at each fault in a row."""

    def __init__(self, models: Collection[str], bandit: Bandit) -> None:
        self._models = models
        self._bandit = bandit
        self._in_a_row: Counter[str] = Counter()
        self._latest: dict[str, ModelError] = {}
        self._since: dict[str, float] = {}

    def failed(self, model: str, error: ModelError) -> None:
        """A request to the model failed; those that fail while it rests already count as one fault."""
        self._latest[model] = error
        self._since[model] = time.monotonic()
        if any(arm.model == model for arm in self._bandit.awake()):
            self._in_a_row[model] += 1
            rest = error.rest_seconds * 2 ** (self._in_a_row[model] - 1)
            self._bandit.rest_model(model, min(rest, LONGEST_REST))

    def answered(self, model: str, asked: float) -> None:
        """The model answered what was asked at `asked`; a fault after that is not undone by it."""
        if asked > self._since.get(model, 0.0):
            self._in_a_row[model] = 0
            self._latest.pop(model, None)

    def doubtful(self, model: str) -> bool:
        """The model's latest request failed: one more shows whether it is back, several would fail together."""
        return self._in_a_row[model] > 0

    @property
    def any_well(self) -> bool:
        return any(model not in self._latest for model in self._models)

    @property
    def any_awake(self) -> bool:
        return any(arm.model for arm in self._bandit.awake())

    @property
    def hopeless(self) -> bool:
        """Every model has failed again and again, or in a way that only the user can mend."""
        return all(
            self._in_a_row[model] >= PATIENCE or (model in self._latest and self._latest[model].kind in FATAL)
            for model in self._models
        )

    @property
    def why(self) -> str:
        """The latest fault of each model."""
        return " ".join(dict.fromkeys(error.message for error in self._latest.values()))
