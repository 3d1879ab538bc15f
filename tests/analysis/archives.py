"""Archives of any size without an engine: every outcome, crossovers, replicates, exchanges and hostile words."""

from __future__ import annotations

import functools
import math
import random
from pathlib import Path

from evolve.archive.repository import Archive
from evolve.evaluation.trial import Trial
from evolve.individual import FRESH, Individual, Offspring, Outcome, Status
from evolve.lineages.ablate import ablate
from evolve.lineages.prune import prune
from evolve.lineages.replay import replay
from evolve.lineages.transfer import transfer
from evolve.randomness import CounterBased
from evolve.variation.catalogue import Value, constants, mutate_constants, substitute
from tests.lineages.synthetic import workplace
from tests.stub import TOY

POP = 8
BOX = 5.0  # seconds
NOISE = 0.004
HOSTILE = "</script><script>document.title = 'owned'</script><img src=x onerror=alert(1)> & $x_"
STATE = {"arena": "toy", "script": "train.py", "metric": "val_bpb", "direction": "min", "corpus": "toy", "seed": 1}
MODELS = ("large-one", "small-one")
INTENTS = ("tune", "structure", "simplify", "radical")
ENDINGS = {  # share of all first runs
    Status.CRASHED: 0.04,
    Status.TIMED_OUT: 0.02,
    Status.OUT_OF_MEMORY: 0.01,
    Status.CHEATED: 0.01,
    Status.REJECTED: 0.01,
}


def fill(path: Path, births: int, *, seed: int = 1) -> None:
    """Make an archive of a search of so many births, the seed genome not counted. The same seed gives the same."""
    rng = random.Random(seed)
    with Archive.create(path, {**STATE, "time_box": BOX, "pop": POP}) as archive:
        with archive.gathering():
            Filling(archive, rng).run(births)
        archive.maintain(wait=True)


def operate(folder: Path, ref: str = "champion") -> None:
    """Replay, ablate, prune and transfer a lineage of the run in a folder, by trials that are a formula."""
    with workplace(folder, formula, create=False) as place:
        replay(place, ref)
        ablate(place, ref)
        prune(place, ref)
        transfer(place, ref, settings=["DEPTH=9"])


def formula(trial: Trial) -> Outcome:
    """What a run would measure: the true score, and noise that hangs on genome and seed alone."""
    draw = CounterBased(f"{trial.source}/{trial.seed}".encode())
    score = true_score(trial.source) + NOISE * draw.gauss()
    return Outcome(
        Status.OK,
        score,
        individual=trial.individual,
        replicate=trial.replicate,
        seed=trial.seed,
        seconds={"startup": 0.4, "training": BOX, "scoring": 0.5, "total": BOX + 0.95},
        steps=100,
        parameters=10_000,
        peak_memory_mb=120.0,
        curve=curve(score, 60),
        tail="done",
    )


def curve(score: float, points: int) -> list[tuple[float, float]]:
    """The first points of a learning curve that has 60 of them and ends near the score."""
    return [(k / 60, score + math.exp(-k / 12)) for k in range(1, 1 + points)]


class Filling:
    """A steady-state search in a nutshell; its clock runs by the seconds that its trials are said to take."""

    def __init__(self, archive: Archive, rng: random.Random) -> None:
        self.archive = archive
        self.rng = rng
        self.now = 1_700_000_000.0
        self.population: list[Individual] = []

    def run(self, births: int) -> None:
        first = self.archive.add(Offspring((TOY / "train.py").read_text(), (), "seed", "The seed genome of toy", 0))
        for replicate in range(3):
            self.measure(first, replicate)
        for number in range(1, births + 1):
            if number < births or births < 10:
                self.measure(self.born(number), 0)
            else:
                self.born(number)  # still running
            if self.rng.random() < 0.1 and len(self.population) > 2:
                one = self.rng.choice(self.population[:3])
                self.measure(one, len(one.outcomes))
        best = self.population[0]
        for replicate in range(FRESH, FRESH + 4):
            for one in (best, first):
                self.measure(one, replicate)
        self.archive.set_elite(self.population)
        self.archive.set_champion(best)

    def born(self, number: int) -> Individual:
        rng = self.rng
        parents = [min(rng.sample(self.population, min(3, len(self.population))), key=lambda one: one.fitness.mean)]
        if number > 10 and rng.random() < 0.15:
            others = [one for one in self.population if one is not parents[0]]
            parents.append(rng.choice(others))
        parents.sort(key=lambda one: one.fitness.mean)
        ids = tuple(one.id for one in parents)
        generation = 1 + max(one.generation for one in parents)
        if len(parents) > 1:
            values = {name: rng.choice([of(parent)[name] for parent in parents]) for name in of(parents[0])}
            text = substitute(parents[0].genome, values)
            if self.archive.find(text) is None:
                idea = f"Cross ({parents[0].idea[:50]}) with ({parents[1].idea[:50]})"
                return self.archive.add(Offspring(text, ids, "crossover", idea, generation))
            ids = ids[:1]
        text, idea = mutate_constants(parents[0].genome, list(constants(parents[0].genome)), rng)
        while self.archive.find(text) is not None:  # as an engine does: a genome is archived once
            text, idea = mutate_constants(parents[0].genome, list(constants(parents[0].genome)), rng)
        kind = rng.random()
        if kind < 0.6:
            operator = "numeric" if kind < 0.25 else "catalogue"
            return self.archive.add(Offspring(text, ids, operator, idea, parents[0].generation + 1))
        return self.written(parents[0], text, HOSTILE if number == 7 else idea, parents[0].generation + 1)

    def written(self, parent: Individual, text: str, idea: str, generation: int) -> Individual:
        """An offspring of a language model, with its exchange; now and then after a rejected draft."""
        rng = self.rng
        model, intent = rng.choice(MODELS), rng.choice(INTENTS)
        price = 1e-5 if model == "large-one" else None
        exchange = {
            "model": model,
            "operator": "mutation",
            "intent": intent,
            "prompts": "0" * 12,
            "turn": 0,
            "messages": [
                {"role": "system", "content": "You improve a training script.\n\nAnswer with an edit."},
                {
                    "role": "user",
                    "content": f"## The script\n\n```python\n{parent.genome}```\n\n## Your task\n\n{intent}",
                },
            ],
            "reply": f"Idea: {idea}\n\n<<<<<<< SEARCH\n...",
            "finish_reason": "stop",
            "input_tokens": 400 + rng.randrange(100),
            "output_tokens": 60 + rng.randrange(40),
            "cached_tokens": 0,
            "counted": True,
            "seconds": round(rng.uniform(1, 4), 3),
        }
        exchange["cost"] = None if price is None else price * (exchange["input_tokens"] + exchange["output_tokens"])
        if rng.random() < 0.15:
            told = {"rejection": "not found", "reason": "the lines to replace are not in the script."}
            self.archive.note_exchange(parent, {**exchange, "time": self.now, **told})
        cost = {key: float(exchange[key]) for key in ("input_tokens", "output_tokens")}
        if price is not None:
            cost["money"] = exchange["cost"]
        offspring = Offspring(text, (parent.id,), intent, idea, generation, model=model, cost=cost)
        child = self.archive.add(offspring)
        self.archive.note_exchange(child, {**exchange, "time": self.now})
        return child

    def measure(self, one: Individual, replicate: int) -> None:
        rng = self.rng
        value = true_score(one.genome)
        score = value + rng.gauss(0, NOISE)
        worst = max((other.fitness.mean for other in self.population), default=math.inf)
        draw = rng.random() if one.parents and not replicate else 1.0
        status = Status.OK
        for ending, share in ENDINGS.items():
            if 0 <= draw < share and status is Status.OK:
                status = ending
            draw -= share
        raced = status is Status.OK and one.parents and not replicate and score > worst + 0.3 and rng.random() < 0.8
        status = Status.RACED if raced else status
        reached = {Status.OK: 1.0, Status.TIMED_OUT: 1.0, Status.REJECTED: 0.0}.get(status, rng.uniform(0.2, 0.6))
        entered = status is Status.OK and not replicate and (len(self.population) < POP or score < worst)
        ran = status is not Status.REJECTED
        seconds = {"startup": 0.4, "training": BOX * reached, "scoring": 0.5 if status is Status.OK else 0.0}
        seconds["total"] = sum(seconds.values()) + 0.05
        outcome = Outcome(
            status,
            score if status is Status.OK else None,
            "" if status is Status.OK else f"it {status.replace('_', ' ')} at {reached:.0%} of the box",
            replicate=replicate,
            seed=1000 + replicate,
            seconds=seconds if ran else {},
            steps=int(100 * reached) if ran else None,
            tokens=int(12800 * reached) if ran else None,
            parameters=10_000 if ran else None,
            peak_memory_mb=120.0 if ran else None,
            device="cpu",
            started=self.now,
            constants=dict(of(one)) if status is Status.OK else {},
            curve=curve(score, int(60 * reached)),
            entered=entered,
            tail="" if status is Status.OK else f"Traceback: {HOSTILE}",
        )
        self.now += seconds["total"] if ran else 0.0
        self.archive.record(one, outcome)
        if one.fitness.measured and (entered or one in self.population):
            self.population = sorted({*self.population, one}, key=lambda each: each.fitness.mean)[:POP]


def of(one: Individual) -> dict[str, Value]:
    """The values of an individual's constants."""
    return values_in(one.genome)


@functools.lru_cache(64)
def values_in(genome: str) -> dict[str, Value]:
    return {constant.name: constant.value for constant in constants(genome)}


def true_score(genome: str) -> float:
    """What a run without noise would measure."""
    value = values_in(genome)
    width, depth, bias = (float(value[name]) for name in ("WIDTH", "DEPTH", "BIAS"))  # type: ignore[arg-type]
    penalty = {"round": 0.3, "flat": 0.1, "sharp": 0.0}[str(value["SHAPE"])]
    return 1.0 + (width - 5.0) ** 2 / 20 + (depth - 7) ** 2 / 50 + (bias + 0.25) ** 2 + penalty
