"""What paired runs say: every genome on the same seeds, so that a seed's luck and a machine's drift cancel."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

import numpy as np

from evolve.arena import Direction
from evolve.confirmation import student_975
from evolve.noise import Key, Noise

LEAST_DEGREES = 3  # of freedom, below which Student's interval is too wide to say anything
LEVEL = 0.05  # chance that a step without effect is called real or harmful; half of it either way


class Verdict(enum.StrEnum):
    """What a change does to the score, as far as its runs can tell."""

    REAL = "real"  # it gains: the 95 % interval of its gain lies above zero
    NOISE = "within noise"  # the interval contains zero
    HARMFUL = "harmful"  # it loses: the interval lies below zero
    UNKNOWN = "too few runs"
    FAILED = "failed"  # with it, no run gives a score
    NEEDED = "needed"  # without it, no run gives a score


@dataclass(frozen=True)
class Interval:
    """A value in the metric's unit with its 95 % interval, and the runs (or pairs of runs) it rests on.

    `low` and `high` are NaN where the runs are too few to say.
    """

    value: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True)
class Effect(Interval):
    """How much better one genome is than another, positive for better, and what to think of that."""

    verdict: Verdict


class Paired(Generic[Key]):
    """The scores of several genomes, each on the same list of seeds.

    Model: score = genome + seed + noise, the two-way layout without interaction (Fisher's randomised blocks, a
    seed a block). Blocks are run one after the other, so they take up slow changes of the machine, too. The
    noise is pooled over all genomes from what the layout leaves over, and no prior enters it, so that a
    gain's 95 % interval, by Student, misses the truth in 5 % of cases also where the machine has changed
    since the search. Scores may be missing; a gain is the mean over the seeds that both genomes have.
    """

    def __init__(self, runs: Mapping[Key, Mapping[int, float]], direction: Direction) -> None:
        """`runs`: the scores of each genome by replicate."""
        self._runs = {key: dict(scores) for key, scores in runs.items() if scores}
        self._sign = 1.0 if direction is Direction.MIN else -1.0
        self.noise = self._noise(blocks=True)  # of one run, the seed's part taken out
        self.spread = self._noise(blocks=False)  # of one run

    def mean(self, key: Key) -> Interval | None:
        """A genome's mean score; None where no run gave one."""
        scores = list(self._runs.get(key, {}).values())
        if not scores:
            return None
        half = _half(self.spread, 1 / len(scores))
        mean = math.fsum(scores) / len(scores)
        return Interval(mean, mean - half, mean + half, len(scores))

    def gain(self, before: Key, after: Key) -> Effect:
        """How much better `after` is than `before`. Where only one of them has scores, there is but a verdict."""
        first, second = self._runs.get(before, {}), self._runs.get(after, {})
        both = first.keys() & second.keys()
        if not both:
            verdict = Verdict.UNKNOWN
            if bool(first) != bool(second):
                verdict = Verdict.FAILED if first else Verdict.NEEDED
            return Effect(math.nan, math.nan, math.nan, 0, verdict)
        gain = math.fsum(self._sign * (first[k] - second[k]) for k in both) / len(both)
        half = _half(self.noise, 2 / len(both))
        return Effect(gain, gain - half, gain + half, len(both), _verdict(gain, half))

    def _noise(self, *, blocks: bool) -> Noise:
        """Standard deviation of what genome (and seed) leave over; NaN without degrees of freedom."""
        cells = [
            (row, replicate, score)
            for row, scores in enumerate(self._runs.values())
            for replicate, score in scores.items()
        ]
        if not cells:
            return Noise(math.nan, 0.0)
        seeds = {replicate: column for column, replicate in enumerate(sorted({cell[1] for cell in cells}))}
        design = np.zeros((len(cells), len(self._runs) + (len(seeds) if blocks else 0)))
        for place, (row, replicate, _) in enumerate(cells):
            design[place, row] = 1.0
            if blocks:
                design[place, len(self._runs) + seeds[replicate]] = 1.0
        scores = np.array([cell[2] for cell in cells])
        scores -= scores.mean()
        fit, _, rank, _ = np.linalg.lstsq(design, scores, rcond=None)
        degrees = len(cells) - int(rank)
        if degrees <= 0:
            return Noise(math.nan, 0.0)
        squares = float(((scores - design @ fit) ** 2).sum())
        if squares < len(cells) * (1e-13 * float(np.abs(scores).max())) ** 2:  # rounding alone: equal scores
            squares = 0.0
        return Noise(math.sqrt(squares / degrees), float(degrees))


def _half(noise: Noise, share: float) -> float:
    """Half a 95 % interval of a mean whose variance is `share` of a run's."""
    if noise.degrees < LEAST_DEGREES:
        return math.nan
    return student_975(noise.degrees) * noise.sd * math.sqrt(share)


def _verdict(gain: float, half: float) -> Verdict:
    if math.isnan(half):
        return Verdict.UNKNOWN
    if abs(gain) <= half:
        return Verdict.NOISE
    return Verdict.REAL if gain > 0 else Verdict.HARMFUL


def share(part: Interval, whole: Effect) -> float | None:
    """A gain as a share of a whole that is beyond noise; None of one that is not."""
    return part.value / whole.value if whole.verdict is Verdict.REAL and not math.isnan(part.value) else None


def ratio(part: Interval, whole: Interval) -> Interval:
    """One gain as a share of another that was measured independently, with Fieller's 95 % interval (1954).

    The interval is NaN where the whole may be zero: then any share would fit.
    """
    value = part.value / whole.value if whole.value else math.nan
    half_part, half_whole = part.high - part.value, whole.high - whole.value
    g = (half_whole / whole.value) ** 2 if whole.value else math.nan
    runs = min(part.runs, whole.runs)
    if not g < 1:
        return Interval(value, math.nan, math.nan, runs)
    half = math.sqrt(half_part**2 * (1 - g) + (value * half_whole) ** 2) / abs(whole.value)
    low, high = (value - half) / (1 - g), (value + half) / (1 - g)
    return Interval(value, low, high, runs)
