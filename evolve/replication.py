"""Which individuals earn one more run, and what it is worth."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from evolve.individual import CHOICE, Individual, Outcome
from evolve.noise import Key, Posterior

if TYPE_CHECKING:
    from evolve.estimates import Estimates

UNDECIDED = 1.5  # standard errors within which a comparison is not settled
MANY_CHILDREN = 4
REPLICATE_SHARE = 0.15  # of all evaluations: at most this many go to replicates during the search
LATE_BIRTHS = 20  # whose gains say what the next birth is worth
SEED_STDERR = 0.0005  # of the seed genome's mean, relative to it: above, its replicates disagree
SEED_MOST = 6  # replicates of the seed genome, however much they disagree
MOST_RUNS = 5  # of one individual during the search; confirming a champion is another matter

K = TypeVar("K")

_NORMAL = statistics.NormalDist()


@dataclass(frozen=True)
class Candidate(Generic[K]):
    """An individual that deserves a replicate. `worth`: how much better, in the metric's unit, the individual that a
    decision picks is in expectation for having run this one once more."""

    key: K
    worth: float
    reason: str  # champion, survivor cut, parent of many


def replicate_candidates(
    posterior: Posterior[Key], mu: int, children: Mapping[Key, int], most_runs: int = MOST_RUNS
) -> list[Candidate[Key]]:
    """Individuals on whose value a decision hangs that one more run may change, the most worthwhile first.

    `mu` is the size of the population, `children` how many offspring each individual has had. Three decisions: who is
    champion (the best against its nearest rivals), who survives (those around the place between rank `mu`
    and `mu` + 1, one of `mu` places being at stake), and who goes on breeding (a parent of MANY_CHILDREN or more
    against its neighbours in rank, its share of the births being at stake). What a run is worth to each is the
    knowledge gradient (Frazier, Powell and Dayanik 2008) times that stake; comparisons beyond UNDECIDED
    standard errors count as settled. Nobody is run more than `most_runs` times.
    """
    ranked = posterior.ranked()[: 2 * mu + 1]
    value = [posterior.value(key) for key in ranked]
    births = sum(children.get(key, 0) for key in ranked[:mu])
    candidates = []
    for rank, key in enumerate(ranked):
        if posterior.runs(key) >= most_runs:
            continue
        neighbours = [value[other] for other in (rank - 1, rank + 1) if 0 <= other < len(ranked)]
        claims: list[tuple[float, list[float], str]] = []
        if rank < mu:
            claims.append((1.0, value[1:2] if rank == 0 else value[:1], "champion"))
        if len(ranked) > mu:
            claims.append((1 / mu, [value[mu] if rank < mu else value[mu - 1]], "survivor cut"))
        if rank < mu and children.get(key, 0) >= MANY_CHILDREN:
            claims.append((children[key] / births, neighbours, "parent of many"))
        stderr = posterior.estimate(key).stderr
        worths = [
            (stake * knowledge_gradient(value[rank] - rival, stderr, posterior.noise.sd), reason)
            for stake, rivals, reason in claims
            for rival in rivals
            if abs(value[rank] - rival) < UNDECIDED * stderr
        ]
        if worths:
            worth, reason = max(worths, key=lambda one: one[0])
            candidates.append(Candidate(key, worth, reason))
    return sorted(candidates, key=lambda candidate: -candidate.worth)


def knowledge_gradient(gap: float, stderr: float, sd: float) -> float:
    """Expected gain of the better of two by one more run of one of them, `gap` apart now.

    `stderr` is of that one's value, `sd` the noise of a run: the run moves the value by a normal step of standard
    deviation stderr^2 / sqrt(stderr^2 + sd^2), and what that gains is how far it goes beyond the other.
    """
    step = stderr**2 / math.hypot(stderr, sd) if stderr else 0.0
    if not step:
        return 0.0
    beyond = abs(gap) / step
    # Far apart, the difference of two tiny numbers may fall below zero by rounding.
    return max(0.0, step * (_NORMAL.pdf(beyond) - beyond * _NORMAL.cdf(-beyond)))


class Replication:
    """Decides for a free slot whether one more run of somebody is worth more than a birth."""

    def __init__(self, share: float) -> None:
        """`share` of all evaluations is the most that replicates may take."""
        self._share = share
        self.finished = 0  # those of the seed genome apart

    def take(self, individual: Individual, outcome: Outcome) -> None:
        """One more outcome of any kind."""
        self.finished += 0 < outcome.replicate < CHOICE and bool(individual.parents)

    def due(
        self,
        individuals: Mapping[int, Individual],
        estimates: Estimates,
        mu: int | None,
        children: Mapping[int, int],
        running: Collection[tuple[int, int]],
        given_up: Collection[int],
        evaluations: int,
    ) -> tuple[int, int] | None:
        """The individual to run again and which replicate that is; None where a birth is worth more.

        While offspring are much better than their parents, the next one shows sooner who was good than a replicate
        does. `mu` is the size of the population, None while it is not full; `running` holds what is under way as
        (individual, replicate), `given_up` those that are not run again, `evaluations` counts what is finished.
        """
        busy = {id for id, _ in running}.union(given_up)
        seed = individuals[0]
        disagree = 1 < seed.fitness.count < SEED_MOST and seed.fitness.stderr > SEED_STDERR * abs(seed.fitness.mean)
        if disagree and seed.id not in busy:
            return seed.id, _next_replicate(seed)
        under_way = sum(replicate > 0 and id != seed.id for id, replicate in running)
        allowed = self._share * (evaluations + len(running) + 1)
        if mu is None or self.finished + under_way + 1 > allowed:
            return None
        gain = estimates.gain_per_birth(LATE_BIRTHS)
        for candidate in estimates.candidates(mu, children):
            if candidate.worth > gain and candidate.key not in busy:
                return candidate.key, _next_replicate(individuals[candidate.key])
        return None


def _next_replicate(individual: Individual) -> int:
    return next(k for k in range(CHOICE) if k not in individual.done)
