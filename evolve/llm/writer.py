"""The source whose offspring language models write ahead of the search, so that no worker waits for a model."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.archive.repository import Archive
from evolve.arena import Arena
from evolve.bandit import CATALOGUE, CROSSOVER, NUMERIC, Arm, Bandit
from evolve.breeding import AFTER, PAIRS, Exhausted, Operators, gain_of
from evolve.individual import Individual, Offspring, Outcome
from evolve.llm import ledger
from evolve.llm.author import Author, Draft, Job, abandoned, exchange_figures, set_aside
from evolve.llm.briefing import brief
from evolve.llm.budget import Budget
from evolve.llm.context import mutation_messages
from evolve.llm.crossing import Crossing
from evolve.llm.ensemble import Ensemble
from evolve.llm.health import Health
from evolve.llm.ledger import Scale
from evolve.llm.memory import Memory
from evolve.llm.pool import Pool
from evolve.llm.prompting import INTENTS, MAX_TOKENS, Prompts, PromptTooLong
from evolve.llm.rejection import Kind, ReplyRejected
from evolve.randomness import generator
from evolve.variation.ancestry import merge_bases

if TYPE_CHECKING:
    from evolve.engine import Evolution

PAIRLESS_REST = 30.0  # seconds: until then the population may have two that can be merged
CLOSING_WAIT = 2.0  # seconds that the end of a search gives replies that are on their way; they are paid for


@dataclass(frozen=True)
class Options:
    """What the user chose for the writing."""

    prompts: Prompts
    prompt_tokens: int = MAX_TOKENS
    program: Path | None = None
    repairs: int = 1
    ahead: int = 3  # drafts begun and not used yet


class Writer:
    """Mutations and crossovers by language models, and what needs none for as long as none of theirs is ready.

        choose an arm (model, operator, intent), and a parent;      engine's thread
        prompt = brief(parent);  reserve the most it can cost       engine's thread
        reply -> edit -> child -> checks -> dry run -> repair       one of the writer's threads
        take(): the first draft that is ready and still fresh       engine's thread

    The arms without a model are chosen by the same bandit. A choice of these waits in the queue like a draft, and
    is made when it is taken.
    """

    def __init__(
        self,
        archive: Archive,
        arena: Arena,
        ensemble: Ensemble,
        budget: Budget,
        options: Options,
        *,
        seed: int,
        operators: Operators | None,
        dry_run: Callable[[str], str] | None,
        say: Callable[[str], None],
        give_up: Callable[[str], None],
    ) -> None:
        """`operators` None: language models only; then `give_up` is called with the reason where none is left.

        `say` shows the user a line. `budget` knows what the archive's exchanges have spent.
        """
        self._archive = archive
        self._arena = arena
        self._ensemble = ensemble
        self._budget = budget
        self._options = options
        self._seed = seed
        self._operators = operators
        self._say = say
        self._give_up = give_up
        exchanges = archive.exchanges()
        self._scale = Scale()
        arms = [Arm(model, "mutation", intent) for model in ensemble.models for intent in INTENTS]
        arms += [Arm(model, "crossover") for model in ensemble.models]
        self._bandit = Bandit(
            arms + (operators.arms if operators else []),
            {model.name: model.weight for model in ensemble.models.values()},
            ledger.past(archive, exchanges, self._scale),
        )
        self._asked = len(archive.individuals) + len(exchanges)  # so that a resume draws other numbers
        self.memory = Memory(archive)
        self.memory.refresh()
        self._author = Author(
            options.prompts, budget, repairs=options.repairs, repeated=self.memory.repeated, dry_run=dry_run
        )
        self._pool: Pool[Job, Draft] = Pool(self._author.write, options.ahead)
        self._queue: list[Arm | Draft] = []  # what take() can give at once, the oldest first
        self._writing: Counter[str] = Counter()  # drafts in the threads, by model
        self._jobs: list[Job] = []  # in the threads
        self._met = {str(exchange["model"]) for _, exchange in exchanges if exchange["operator"] != "probe"}
        self._taken: Draft | None = None
        self._unnoted: list[tuple[Individual, Draft]] = []  # born, and their exchanges not archived yet
        self._health = Health(ensemble.models, self._bandit)
        self._no_room: set[str] = set()  # models whose requests the budget's caps no longer let through
        self._said = ""
        self._program = ""
        for name, error in ensemble.absent.items():
            self._health.failed(name, error)
        self._note_probes()

    # The engine's side: evolve.breeding.Source

    def take(self, evolution: Evolution) -> Offspring | None:
        """The first draft that is ready; else an offspring of the operators; None with neither."""
        self._collect()
        self._taken = None
        return self._first_ready(evolution) or self._fill_in(evolution)

    def prepare(self, evolution: Evolution) -> None:
        """Collect drafts and begin new ones, here and not in `take`, for whose end a worker waits."""
        self._note_born()
        self._collect()
        self.memory.refresh()
        self._fill(evolution)
        self._report_models()

    def born(self, individual: Individual) -> None:
        if self._taken is not None:
            self._unnoted.append((individual, self._taken))  # the new box need not wait for the writing of it
            self._taken = None

    def told(self, individual: Individual, outcome: Outcome) -> None:
        if self._operators is not None:
            self._operators.told(individual, outcome)
        arm = ledger.arm_of(individual)
        if arm is not None and len(individual.outcomes) == 1:
            gain = gain_of(self._archive, individual)
            self._bandit.record(arm, gain, self._scale.cost(individual.cost, boxed=True))

    def close(self) -> None:
        """Archive what was paid for and is not used; of replies that do not come in time, all that was reserved."""
        self._note_born()
        deadline = time.monotonic() + CLOSING_WAIT
        while (draft := self._pool.ready(deadline - time.monotonic())) is not None:
            self._finish(draft)
        self._pool.close()
        if self._jobs:
            count = f"{len(self._jobs)} request" + "s" * (len(self._jobs) > 1)
            self._say(f"{count} to language models had no reply at the end; the most that may cost counts as spent.")
        for job in self._jobs:
            self._note(job.parents[0], abandoned(job, self._options.prompts))
        for entry in self._queue:
            if isinstance(entry, Draft):
                self._discard(entry, Kind.UNUSED, "the search ended before it was used.")
        self._queue.clear()
        self._ensemble.close()

    # Inside

    def _collect(self) -> None:
        while (draft := self._pool.ready()) is not None:
            self._finish(draft)

    def _finish(self, draft: Draft) -> None:
        self._jobs.remove(draft.job)
        model = draft.job.client.model.name
        self._writing[model] -= 1
        if draft.fault is not None:
            self._health.failed(model, draft.fault)
        elif draft.exchanges:
            self._health.answered(model, draft.job.asked)
        if draft.offspring is not None:
            self._queue.append(draft)
            return
        assert draft.rejection is not None
        if ledger.learned(draft.rejection.kind):
            self._bandit.record(draft.job.arm, None, self._scale.cost(draft.cost, boxed=False))
        self._note(draft.job.parents[0], draft)

    def _first_ready(self, evolution: Evolution) -> Offspring | None:
        for entry in list(self._queue):
            self._queue.remove(entry)
            if isinstance(entry, Draft):
                assert entry.offspring is not None
                if stale := self._stale(entry, evolution):
                    self._discard(entry, *stale)
                    continue
                self._taken = entry
                return entry.offspring
            if (offspring := self._operate(evolution, entry.operator)) is not None:
                return offspring
        return None

    def _stale(self, draft: Draft, evolution: Evolution) -> tuple[Kind, str] | None:
        """Why a draft that was good when it was written no longer is."""
        assert draft.offspring is not None
        if not all(parent in evolution.population for parent in draft.job.parents):
            return Kind.STALE, "its parent left the population while it was written."
        self.memory.refresh()
        known = self.memory.repeated(draft.job.genome, draft.offspring.genome)
        return None if known is None else (Kind.REPEATED, f"#{known.id} was made of the same edit meanwhile.")

    def _fill_in(self, evolution: Evolution) -> Offspring | None:
        """An offspring beyond what the bandit chose, for a worker that would wait."""
        return self._operate(evolution, None) if self._operators else None

    def _operate(self, evolution: Evolution, operator: str | None) -> Offspring | None:
        assert self._operators is not None
        try:
            return self._operators.take(evolution, operator)
        except Exhausted:
            if not self._pool.in_flight and not self._queue and not self._models_awake():
                raise
            return None

    def _fill(self, evolution: Evolution) -> None:
        """Begin drafts until there are as many as are wanted ahead, or as offspring are still to be born."""
        wanted = min(self._options.ahead, evolution.births_planned - evolution.births)
        while self._pool.in_flight + len(self._queue) < wanted:
            rng = generator(self._seed, self._asked, "draft")
            self._asked += 1
            parent = evolution.toolbox.select(evolution.population, rng)
            possible = self._possible(evolution, parent)
            # Each model is asked once before the bandit has its say: a short search, too, is to have met them all.
            unmet = [arm for arm in possible if arm.model is not None and arm.model not in self._met]
            arm = self._bandit.choose(rng, unmet or possible)
            if arm is None:
                return
            if arm.model is None:
                self._queue.append(arm)
            elif arm.operator == "crossover":
                self._begin_crossover(evolution, arm, rng)
            elif not self._begin(evolution, arm, parent):
                return

    def _possible(self, evolution: Evolution, parent: Individual) -> list[Arm]:
        failed = any(
            parent.id in parents and one.outcomes and not one.fitness.measured
            for parents, one in zip(self._archive.parents.values(), self._archive.individuals.values(), strict=True)
        )
        possible = []
        for arm in self._bandit.arms:
            if arm.operator in (CROSSOVER.operator, NUMERIC.operator) and evolution.evaluated < AFTER:
                continue
            if arm.intent == "fix" and not failed:
                continue
            # After a fault, one request shows whether the endpoint is back.
            if arm.model in self._no_room or (self._health.doubtful(str(arm.model)) and self._writing[str(arm.model)]):
                continue
            possible.append(arm)
        return possible

    def _begin(self, evolution: Evolution, arm: Arm, parent: Individual) -> bool:
        """Send a request for a mutation; False where there is no room or no prompt for it now."""
        options = self._options
        context = brief(
            self._archive,
            evolution.population,
            parent,
            str(arm.intent),
            self._arena,
            self._read_program(),
            self.memory,
        )
        try:
            messages = mutation_messages(options.prompts, context, options.prompt_tokens)
        except PromptTooLong as error:
            self._tell(f"Individual #{parent.id} cannot be shown to a model: {error}")
            if self._operators is None:
                self._give_up(f"{error} Stopping (--llm-only).")
                return False
            self._queue.append(CATALOGUE)
            return True
        client = self._ensemble.clients[str(arm.model)]
        reservation = set_aside(self._budget, client.model, messages)
        if reservation is None:
            if self._budget.in_flight:
                return False
            self._no_room.add(client.model.name)
            if self._spent_out:
                self._tell(f"The budget for language models is used up: {self._or_else}.")
            return True
        self._submit(
            Job(arm, client, (parent,), context.source, messages, reservation, self._author.mutation, time.monotonic())
        )
        return True

    def _begin_crossover(self, evolution: Evolution, arm: Arm, rng: random.Random) -> None:
        """Merge a pair in a thread, where its conflicts are asked about; without a pair the arm rests."""
        for _ in range(PAIRS):
            pair = [evolution.toolbox.select(evolution.population, rng) for _ in range(2)]
            fitter, other = sorted(pair, key=evolution.population.index)  # best first
            bases = merge_bases(self._archive.parents, fitter.id, other.id)
            if bases and bases[0] not in (fitter.id, other.id):
                break
        else:
            self._bandit.rest(arm, PAIRLESS_REST)
            return
        mate = evolution.toolbox.mate
        crossing = Crossing(
            lambda first, second, resolve: mate(first, second, resolve=resolve),
            self._options.prompts,
            self._author.check,
            self._archive.individuals[bases[0]],
        )
        client = self._ensemble.clients[str(arm.model)]
        self._submit(Job(arm, client, (fitter, other), fitter.genome, (), None, crossing, time.monotonic()))

    def _submit(self, job: Job) -> None:
        self._jobs.append(job)
        self._writing[job.client.model.name] += 1
        self._met.add(job.client.model.name)
        self._pool.submit(job)

    def _read_program(self) -> str:
        """The user's direction, read anew: a running search can be steered. What cannot be read stays as it was."""
        if self._options.program is not None:
            try:
                self._program = self._options.program.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                self._tell(f"{self._options.program} cannot be read now, so what it said before stays: {error}.")
        return self._program

    def _discard(self, draft: Draft, kind: Kind, reason: str) -> None:
        draft.reject(ReplyRejected(kind, reason))
        self._note(draft.job.parents[0], draft)

    def _note(self, individual: Individual, draft: Draft) -> None:
        for exchange in draft.exchanges:
            self._archive.note_exchange(individual, exchange)

    def _note_born(self) -> None:
        while self._unnoted:
            self._note(*self._unnoted.pop())

    def _note_probes(self) -> None:
        for name, completion in self._ensemble.probes.items():
            record = {
                "time": time.time(),
                "model": name,
                "operator": "probe",
                "intent": None,
                "turn": 0,
                "messages": [],
            }
            record |= {"reply": completion.text, **exchange_figures(completion)}
            self._archive.note_exchange(self._archive.individuals[0], record)

    # What the user is told

    @property
    def _spent_out(self) -> bool:
        return self._no_room >= self._ensemble.models.keys()

    @property
    def _or_else(self) -> str:
        return "the search goes on without" if self._operators else "the search stops (--llm-only)"

    def _models_awake(self) -> bool:
        return not self._spent_out and self._health.any_awake

    def _report_models(self) -> None:
        """Say once that no model is left, and once that one is back; without other operators, give up."""
        busy = self._pool.in_flight or any(isinstance(entry, Draft) for entry in self._queue)
        if self._spent_out:
            if not self._operators and not busy:
                self._give_up("no language model can be asked: stopping (--llm-only)")
            return
        if self._models_awake():
            if self._said and self._health.any_well:
                self._say("Language models answer again.")
                self._said = ""
            return
        if busy:
            return
        why = self._health.why
        if self._operators:
            self._tell(f"No language model answers, so the search goes on with catalogue and crossover. {why}")
        elif self._health.hopeless:
            self._give_up(f"no language model answers: stopping (--llm-only). {why}")

    def _tell(self, text: str) -> None:
        """Say something once, until another thing is to be said."""
        if text != self._said:
            self._said = text
            self._say(text)
