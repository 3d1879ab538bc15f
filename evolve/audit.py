"""`evolve audit`: one more run of an individual, with every check there is, and what its edits touch."""

from __future__ import annotations

import math
import statistics

from evolve.arena import Arena
from evolve.errors import UserError
from evolve.estimates import estimates_of
from evolve.flags import new_flags
from evolve.individual import CHOICE, Individual, Outcome, Status
from evolve.measuring import Workplace
from evolve.noise import Noise

FAR = 3.0  # standard deviations of the difference, beyond which a run does not agree with the archived ones
FOUND = 1  # exit code: something is wrong


def audit(run: str, ref: str) -> int:
    """Check the individual again and print what was checked, how it came out, and what cannot be checked.

    The run is archived like any other replicate. Returns 0 where nothing is wrong, FOUND where something is, 130
    where the run was ended. Raises UserError.
    """
    with Workplace.open(run, workers=1) as place:
        one = place.archive.resolve(ref)
        if one.derived:
            raise UserError(f"{one.name} is no individual of the search: `replay` it instead.")
        before = [each.score for each in one.outcomes if each.score is not None and each.replicate < CHOICE]
        seed = place.archive.individuals[0]
        flags = new_flags(one.genome, [seed.genome]) if one.parents else []
        replicate = next(k for k in range(CHOICE) if k not in one.done)
        if not place.measure([(one.id, replicate)]):
            return 130  # not 0, which says that nothing is wrong
        outcome = next(each for each in one.outcomes if each.replicate == replicate and each.counts)
        # As the search knew it, without this run.
        earlier = [each for each in place.archive.in_order() if each[1] is not outcome]
        estimates = estimates_of(earlier, place.arena.direction)
        noise = estimates.noise if estimates.measured else None
        wrong, lines = _findings(one, outcome, before, noise, place.arena, flags)
        place.console.print("\n".join(["", *lines]), markup=False, soft_wrap=True)
    return FOUND if wrong else 0


def _findings(
    one: Individual, outcome: Outcome, before: list[float], noise: Noise | None, arena: Arena, flags: list[str]
) -> tuple[bool, list[str]]:
    """Whether anything is wrong, and what there is to say."""
    far, agreement = _agreement(outcome, before, noise)
    parts = {
        "edits": _edits(one, flags),
        "run": [f"replicate {outcome.replicate}, seed {outcome.seed}: {_ended(outcome)}"],
        "model": [_model(outcome, arena)],
        "score": [_score(outcome, arena)],
        "clock": [_clock(outcome, arena)],
        "agreement": [agreement],
        "unchecked": [
            "the archived runs themselves: this was another run of the same source, on this machine",
            "what it trained on inside its box, where it could read more than it was given: any text on the disk that",
            "the sandbox shows, such as Python's own library",
        ],
    }
    lines = [f"Audit of #{one.id}: {one.idea}"]
    for name, texts in parts.items():
        lines += [f"  {name if i == 0 else '':<10} {text}" for i, text in enumerate(texts)]
    wrong = far or outcome.status is not Status.OK
    lines.append(
        "Something is wrong: see above."
        if wrong
        else "Nothing wrong was found in what could be checked." + (" Flags are to be read." if flags else "")
    )
    return wrong, lines


def _edits(one: Individual, flags: list[str]) -> list[str]:
    if not one.parents:
        return ["it is the seed genome itself"]
    if not flags:
        return ["all of its edits since the seed genome touch nothing but the model and its training"]
    return [
        f"{len(flags)} of the lines that differ from the seed genome are flagged:",
        *(f"  {flag}" for flag in flags),
    ]


def _ended(outcome: Outcome) -> str:
    return "ok" if outcome.status is Status.OK else f"{outcome.status.replace('_', ' ')}: {outcome.reason}"


def _model(outcome: Outcome, arena: Arena) -> str:
    if arena.score == "printed":
        return "not checked: the script prints its own score"
    if outcome.verified:
        return "causal, the same in any place of a batch and when asked again, and unchanged by being scored"
    return "only as far as its own process does that" if outcome.status is Status.OK else "see the run"


def _score(outcome: Outcome, arena: Arena) -> str:
    if outcome.verified and outcome.score is not None and outcome.reported is not None:
        how = "as a graph, without its code" if outcome.verified == "graph" else "rebuilt by its build_model"
        return (
            f"{arena.metric} {outcome.score:.6f} in processes that never trained, the model {how}; "
            f"the run itself reported {outcome.reported:.6f}"
        )
    if not arena.scorer:
        return f"not computed again: the arena '{arena.name}' names no scorer"
    return "none: see the run"


def _clock(outcome: Outcome, arena: Arena) -> str:
    seconds = outcome.seconds
    if "training_cpu" not in seconds:
        return "not checked: the script reports no events"
    cores = f"{arena.cores} core" + "s" * (arena.cores > 1)
    return (
        f"{seconds['training']:.2f} s of training in a box of {arena.time_box:g} s; {seconds['training_cpu']:.2f} s "
        f"of the CPU on {cores}, and {seconds['startup_cpu']:.2f} s of it before the clock opened"
    )


def _agreement(outcome: Outcome, before: list[float], noise: Noise | None) -> tuple[bool, str]:
    """Whether the new score is too far from the archived ones, in words."""
    if outcome.score is None:
        return False, "none: this run has no score"
    if not before or noise is None:
        return False, "there is no archived score to agree with"
    mean = statistics.fmean(before)
    sd = noise.sd * math.sqrt(1 + 1 / len(before))
    away = abs(outcome.score - mean) / sd
    text = f"{away:.1f} standard deviations from the mean of its {len(before)} archived runs, {mean:.6f}"
    if away <= FAR:
        return False, text
    return True, text + ": more than noise explains, unless the machine is busier or quieter than it was"
