"""Which individuals earn one more run, and how step counts correct for a machine's uneven speed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from evolve.noise import Key, Posterior

UNDECIDED = 1.5  # standard errors within which a comparison is not settled
MANY_CHILDREN = 4
MOST_RUNS = 5  # of one individual during the search; confirming a champion is another matter

K = TypeVar("K")


@dataclass(frozen=True)
class Candidate(Generic[K]):
    """An individual that deserves a replicate. `worth` is in standard deviations of a run: what the
    decisions that hang on it could be wrong by, less what they could be wrong by after one more run."""

    key: K
    worth: float
    reason: str  # champion, survivor cut, parent of many


def replicate_candidates(
    posterior: Posterior[Key], mu: int, children: Mapping[Key, int], most_runs: int = MOST_RUNS
) -> list[Candidate[Key]]:
    """Individuals on whose value a decision hangs that one more run may change, the most worthwhile first.

    `mu` is the size of the population, `children` how many offspring each individual has had. Three
    decisions: who is champion (the best, and whoever lies within UNDECIDED standard errors of it), who
    survives (those as near to the place between rank `mu` and `mu` + 1), and who goes on breeding (a parent
    of MANY_CHILDREN or more that survives on a single run). Nobody is run more than `most_runs` times.
    """
    ranked = posterior.ranked()
    value = {key: posterior.value(key) for key in ranked}
    single = posterior.noise.sd
    candidates = []
    for rank, key in enumerate(ranked):
        runs = posterior.runs(key)
        if runs >= most_runs:
            continue
        saved = 1 / math.sqrt(runs) - 1 / math.sqrt(runs + 1)
        claims: list[tuple[float, str]] = []
        rivals = [ranked[1]] if rank == 0 and len(ranked) > 1 else ranked[:1]
        if rank < mu and rivals[0] != key:
            claims.append((2.0 * _doubt(value[key] - value[rivals[0]], single, runs), "champion"))
        if len(ranked) > mu:
            cut = 0.5 * (value[ranked[mu - 1]] + value[ranked[mu]])
            claims.append((_doubt(value[key] - cut, single, runs), "survivor cut"))
        if rank < mu and runs == 1 and children.get(key, 0) >= MANY_CHILDREN:
            claims.append((0.5 * math.log2(children[key]) / 2, "parent of many"))
        doubt, reason = max(claims, default=(0.0, ""))
        if doubt > 0:
            candidates.append(Candidate(key, doubt * saved, reason))
    return sorted(candidates, key=lambda candidate: -candidate.worth)


def _doubt(gap: float, sd: float, runs: int) -> float:
    """One where two values cannot be told apart, falling to zero at UNDECIDED standard errors."""
    return max(0.0, 1.0 - abs(gap) / (UNDECIDED * sd / math.sqrt(runs)))
