"""What an archive knows of its exchanges: spending, the bandit's past, and the lines of `status`."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from evolve.archive.repository import Archive
from evolve.bandit import CATALOGUE, CROSSOVER, NUMERIC, Arm, Bandit, Row
from evolve.breeding import gain_of
from evolve.individual import Individual, Outcome
from evolve.llm.author import total_cost
from evolve.llm.budget import Spent
from evolve.llm.prompting import INTENTS
from evolve.llm.rejection import Kind

SAVED = (Kind.REPEATED, Kind.NO_OP, Kind.DOES_NOT_RUN)  # rejections that would have cost a box

Exchange = Mapping[str, Any]


class Scale:
    """What an offspring cost, for the bandit, in time boxes: 1 for its box, and 1 for a reply of average price.

    Boxes and replies have no common currency, so a reply's price counts relative to the average of all
    drafts so far: money where the price of each is known, else tokens.
    """

    def __init__(self) -> None:
        self._count = 0
        self._tokens = 0.0
        self._money: float | None = 0.0

    def cost(self, spent: Mapping[str, float], boxed: bool) -> float:
        """The cost of an offspring that took `spent` to write; `boxed`: it was trained as well."""
        box = 1.0 if boxed else 0.0
        tokens = spent.get("input_tokens", 0.0) + spent.get("output_tokens", 0.0)
        if not tokens:
            return box
        self._count += 1
        self._tokens += tokens
        money = spent.get("money")
        self._money = None if self._money is None or money is None else self._money + money
        if self._money and money is not None:
            return box + money * self._count / self._money
        return box + tokens * self._count / self._tokens


def arm_of(individual: Individual) -> Arm | None:
    """The arm that wrote an individual; None for the seed genome and what came from outside."""
    if individual.operator in INTENTS and individual.model:
        return Arm(individual.model, "mutation", individual.operator)
    arm = Arm(individual.model, individual.operator)
    return arm if arm in (CATALOGUE, CROSSOVER, NUMERIC) or individual.operator == "crossover" else None


def spent(exchanges: Iterable[Exchange]) -> Spent:
    """What the exchanges took in all."""
    total = Spent()
    for exchange in exchanges:
        total = total.plus(exchange["input_tokens"] + exchange["output_tokens"], exchange["cost"])
    return total


def past(archive: Archive, exchanges: Sequence[tuple[Individual, Exchange]], scale: Scale) -> list[Row]:
    """The bandit's rows of all offspring and rejected drafts, in order of time."""
    events: list[tuple[float, Arm, float | None, Mapping[str, float], bool]] = []
    for individual, outcome in archive.in_order():
        arm = arm_of(individual)
        if arm is not None and outcome is individual.outcomes[0]:
            events.append((_ended(outcome), arm, gain_of(archive, individual), individual.cost, True))
    for draft in _drafts(exchanges):
        last = draft[-1]
        arm = Arm(last["model"], last["operator"], last["intent"])
        if last.get("rejection") in _LEARNED:
            events.append((last["time"], arm, None, total_cost(draft), False))
    events.sort(key=lambda event: event[0])
    return [Row(arm, gain, scale.cost(cost, boxed)) for _, arm, gain, cost, boxed in events]


_LEARNED = {kind.value for kind in Kind} - {Kind.STALE.value, Kind.UNUSED.value, Kind.UNWRITTEN.value}
"""Rejections that say something of the model that wrote the reply."""


def learned(kind: Kind) -> bool:
    """Whether a rejection says something of the arm."""
    return kind.value in _LEARNED


def _ended(outcome: Outcome) -> float:
    return outcome.started + outcome.seconds.get("total", 0.0)


def _drafts(exchanges: Sequence[tuple[Individual, Exchange]]) -> Iterator[list[Exchange]]:
    """The exchanges of each draft: turn 0 and the turns that follow it on the same note."""
    by_individual: dict[int, list[Exchange]] = {}
    for individual, exchange in exchanges:
        by_individual.setdefault(individual.id, []).append(exchange)
    for noted in by_individual.values():
        starts = [index for index, exchange in enumerate(noted) if exchange["turn"] == 0]
        for start, end in itertools.pairwise([*starts, len(noted)]):
            yield noted[start:end]


def report(archive: Archive) -> list[str]:
    """The lines of `status` about language models; none where the run has none."""
    exchanges = archive.exchanges()
    if not exchanges:
        return []
    records = [exchange for _, exchange in exchanges]
    total = spent(records)
    known = f"cost {total.cost:.4f}" if total.unpriced < total.exchanges else "cost unknown"
    if 0 < total.unpriced < total.exchanges:
        known += f" and {total.unpriced} exchanges of unknown cost"
    models = Counter(record["model"] for record in records)
    named = ", ".join(f"{name} {count}" for name, count in models.most_common())
    lines = ["", f"language models: {total.exchanges} exchanges ({named}), {total.tokens} tokens, {known}"]
    drafts = [draft for draft in _drafts(exchanges) if draft[-1]["operator"] != "probe"]
    rejected = Counter(draft[-1]["rejection"] for draft in drafts if draft[-1].get("rejection"))
    if drafts:
        shares = ", ".join(f"{kind} {count} ({count / len(drafts):.0%})" for kind, count in rejected.most_common())
        lines.append(f"drafts: {len(drafts)}, of them rejected {rejected.total()}" + (f": {shares}" if shares else ""))
    repaired = Counter(record["repaired"] for record in records if "repaired" in record)
    if repaired:
        text = ", ".join(f"{kind} {count}" for kind, count in repaired.most_common())
        lines.append(f"sent back with their error: {text}")
    saved = {kind: rejected[kind.value] + repaired[kind.value] for kind in SAVED}
    text = ", ".join(f"{kind.value} {count}" for kind, count in saved.items() if count)
    lines.append(f"boxes saved: {sum(saved.values())}" + (f" ({text})" if text else ""))
    return lines + _arms(archive, exchanges)


def _arms(archive: Archive, exchanges: Sequence[tuple[Individual, Exchange]]) -> list[str]:
    rows = past(archive, exchanges, Scale())
    if not rows:
        return []
    bandit = Bandit(sorted({row.arm for row in rows}, key=str), rows=rows)
    heads = f"{'drafts':>6} {'better':>6} {'mean gain':>9} {'cost':>6} {'value':>6}"
    lines = [f"  {'arm':<36} {heads}  of the latest {sum(one.chosen for one in bandit.table())}"]
    for one in bandit.table():
        name = " ".join(part for part in (one.arm.model or "no model,", one.arm.operator, one.arm.intent) if part)
        cost = "" if one.mean_cost is None else f"{one.mean_cost:.2f}"
        figures = f"{one.chosen:>6} {one.improved:>6} {one.mean_gain:>9.4f} {cost:>6} {one.value:>6.2f}"
        lines.append(f"  {name:<36} {figures}")
    return lines
