"""`evolve transfer`: a lineage's steps on another base, size or time box, and how much of the gain comes along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.archive.repository import Archive
from evolve.arena import Direction
from evolve.errors import UserError
from evolve.individual import Individual, Offspring
from evolve.lineages.paired import Effect, Interval, Paired, Verdict, ratio
from evolve.lineages.rebase import Carried, parse_settings, rebased, set_constants
from evolve.lineages.steps import (
    REPLAY,
    REPLICATES,
    TRANSFER,
    blocks,
    check_replicates,
    outcomes_of,
    scores_of,
    steps_of,
)
from evolve.measuring import Workplace
from evolve.variation.catalogue import Value
from evolve.variation.source import compiles, normalise

OPERATOR = "transfer"


@dataclass(frozen=True)
class CarriedStep:
    """A step of the lineage and what became of it on the other base."""

    individual: int  # the step's child; REF where the steps were squashed
    name: str
    commit: str
    idea: str
    carried: str | None  # name of the genome with it; None where it was left out, or brings nothing
    conflicts: tuple[str, ...]  # statements in which the base differs from what the step changed
    fixed: tuple[str, ...]  # constants that --set fixes, and the step would have changed


@dataclass(frozen=True)
class Transfer:
    """The gain of a lineage where it was found, and on another base. Scores are in the metric's unit."""

    individual: int
    name: str
    metric: str
    direction: str  # "min" or "max"
    onto: str  # the other base in words
    squashed: bool
    time_boxes: tuple[float, float]  # seconds: of the lineage, of the transfer
    base: str  # name of the other base
    transferred: str | None  # name of the last genome on it; None where no step could be carried over
    branch: str | None
    steps: tuple[CarriedStep, ...]
    scores: tuple[Interval | None, ...]  # of the lineage's first, REF, the other base, the transferred genome
    original: Effect  # gain of REF over the first of its lineage
    gain: Effect  # gain of the transferred genome over the other base
    share: Interval | None  # of the gain that comes along, with Fieller's interval; None without both gains
    failures: tuple[str, ...]  # how runs on the other base failed
    noise: tuple[float, float]  # standard deviation of one run beside others on its seed: where found, there
    replicates: int  # runs of each that there are, at least
    missing: int  # evaluations that were asked for and are not done

    @property
    def failed(self) -> bool:
        """Whether all was run and nothing on the other base has a score."""
        return self.transferred is not None and not self.missing and self.scores[2] is self.scores[3] is None


def transfer(
    place: Workplace,
    ref: str,
    *,
    onto: str | None = None,
    settings: Sequence[str] = (),
    squash: bool = False,
    time_box: float | None = None,
    replicates: int = REPLICATES,
) -> Transfer:
    """Carry the steps of `ref` over, run both ends there and both where they were found, and compare the gains.

    `onto`: a script; None: the first genome of the lineage. `settings`: NAME=VALUE words. What is archived
    already is not run again. Raises UserError.
    """
    check_replicates(replicates)
    archive = place.archive
    individual = archive.resolve(ref)
    if onto is None and not settings and time_box is None:
        raise UserError("Say where to: --onto SCRIPT, --set NAME=VALUE or --time-box S, or several of them.")
    if time_box is not None and not 0 < time_box < 1e7:
        raise UserError(f"--time-box {time_box:g}: must be a number of seconds above zero.")
    base = archive.derive(_base(archive, individual, onto, parse_settings(settings), squash, time_box))
    last = _last(_carry(archive, base, individual, archive.derive))
    first = steps_of(archive, individual)[0][0]
    if last is not None:
        archive.set_branch(_branch(individual, base), last)
        place.measure(blocks([base, last], TRANSFER, replicates) + blocks([first, individual], REPLAY, replicates))
    return transferred(archive, base.name, replicates)


def transferred(archive: Archive, base_ref: str, replicates: int = 0) -> Transfer:
    """What the archive's runs say of the transfer whose base is `base_ref`; nothing is run. Raises UserError.

    `replicates`: so many were asked for.
    """
    base = archive.resolve(base_ref)
    if "of" not in base.derivation:
        raise UserError(f"{base.name} is not the base of a transfer. Known: {_known(archive)}.")
    individual = archive.resolve(base.derivation["of"])
    carried = _carry(archive, base, individual, archive.find_derived)
    last = _last(carried)
    ends = [base] if last is None else [base, last]
    first = steps_of(archive, individual)[0][0]
    state = archive.read_state()
    direction = Direction(state["direction"])
    here = Paired(scores_of([first, individual], REPLAY), direction)
    there = Paired(scores_of(ends, TRANSFER), direction)
    original, gain = here.gain(first.id, individual.id), there.gain(base.id, ends[-1].id)
    both = {Verdict.UNKNOWN, Verdict.FAILED, Verdict.NEEDED}.isdisjoint({original.verdict, gain.verdict})
    runs = [
        *(len(outcomes_of(one, REPLAY)) for one in (first, individual)),
        *(len(outcomes_of(one, TRANSFER)) for one in ends),
    ]
    box = individual.time_box or float(state["time_box"])
    return Transfer(
        individual.id,
        individual.name,
        state["metric"],
        state["direction"],
        base.idea,
        bool(base.derivation.get("squash")),
        (box, base.time_box or float(state["time_box"])),
        base.name,
        None if last is None else last.name,
        None if last is None else _branch(individual, base),
        tuple(_step(*pair) for pair in carried),
        (
            here.mean(first.id),
            here.mean(individual.id),
            there.mean(base.id),
            None if last is None else there.mean(last.id),
        ),
        original,
        gain,
        ratio(gain, original) if both and last is not None else None,
        tuple(
            f"{one.name} {run.status.replace('_', ' ')}: {run.reason}"
            for one in ends
            for run in outcomes_of(one, TRANSFER)
            if run.score is None
        ),
        (here.noise.sd, there.noise.sd),
        min(runs),
        0 if last is None else sum(max(0, replicates - count) for count in runs),
    )


def _last(carried: Sequence[tuple[Carried, Individual | None]]) -> Individual | None:
    """The last genome on the other base; None where no step could be carried over."""
    return next((one for _, one in reversed(carried) if one is not None), None)


def transfers(archive: Archive) -> list[str]:
    """Names of the bases of all transfers in the archive, for `transferred`."""
    return [one.name for one in archive.derived.values() if "of" in one.derivation]


def _known(archive: Archive) -> str:
    return ", ".join(transfers(archive)) or "none yet"


def _base(
    archive: Archive,
    individual: Individual,
    onto: str | None,
    values: Mapping[str, Value],
    squash: bool,
    time_box: float | None,
) -> Offspring:
    first = steps_of(archive, individual)[0][0]
    text = normalise(first.genome if onto is None else _read(onto))
    text = set_constants(text, values)
    box = time_box if time_box is not None else individual.time_box
    if box == float(archive.read_state()["time_box"]):
        box = None
    derivation: dict[str, Any] = {"of": individual.commit}
    derivation |= {"set": dict(values)} if values else {}
    derivation |= {"squash": True} if squash else {}
    derivation |= {"time_box": box} if box is not None else {}
    words = [f"{first.name}" if onto is None else Path(onto).name]
    words += ["with " + ", ".join(f"{name} {value}" for name, value in values.items())] if values else []
    words += [f"in boxes of {time_box:g} s"] if time_box is not None else []
    parents = (first.id,) if onto is None else ()
    generation = first.generation + 1 if onto is None else 0
    return Offspring(text, parents, OPERATOR, " ".join(words), generation, derivation=derivation)


def _read(onto: str) -> str:
    try:
        text = Path(onto).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--onto {onto} cannot be read: {error}.") from error
    if not compiles(text):
        raise UserError(f"--onto {onto} is not Python that compiles.")
    return text


def _carry(
    archive: Archive, base: Individual, individual: Individual, derive: Callable[[Offspring], Individual | None]
) -> list[tuple[Carried, Individual | None]]:
    """What came of each step on the base, and the genome with it, where that is new and `derive` gives it."""
    squash = bool(base.derivation.get("squash"))
    box = {} if base.time_box is None else {"time_box": base.time_box}
    previous = base
    result: list[tuple[Carried, Individual | None]] = []
    for carried in rebased(base.genome, steps_of(archive, individual), base.derivation.get("set", {}), squash=squash):
        one = None
        if not carried.left_out and not carried.nothing_new:
            source = carried.source
            idea = f"All steps to {source.name}" if squash else f"{source.idea} (carried over from {source.name})"
            notes = [f"- {path}: as the base has it" for path in (*carried.conflicts, *carried.fixed)]
            one = derive(
                Offspring(
                    carried.text,
                    (previous.id, source.id),
                    OPERATOR,
                    idea,
                    previous.generation + 1,
                    body="\n".join(["Conflicts:", *notes] if notes else []),
                    derivation={"carries": source.commit} | box,
                )
            )
            previous = one or previous
        result.append((carried, one))
    return result


def _step(carried: Carried, one: Individual | None) -> CarriedStep:
    source = carried.source
    name = None if one is None else one.name
    return CarriedStep(source.id, source.name, source.commit, source.idea, name, carried.conflicts, carried.fixed)


def _branch(individual: Individual, base: Individual) -> str:
    return f"transfer/{individual.name.removeprefix('#')}-{base.name}"
