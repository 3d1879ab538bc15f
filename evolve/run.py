"""The main job, wired together: arena, data, archive, workers, search, and what is said about them."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from evolve import arena as arenas
from evolve import strategies
from evolve.archive.repository import Archive
from evolve.arena import Arena
from evolve.breeding import Operators, Source
from evolve.engine import Evolution, search
from evolve.errors import UserError
from evolve.evaluation.dry_run import DryRun
from evolve.evaluation.executors import LocalExecutor, Slot, hardware, slots_on
from evolve.evaluation.gpu import list_gpus
from evolve.evaluation.trial import HarnessFault
from evolve.inbox import Inbox
from evolve.individual import Offspring
from evolve.llm.agent import Agent, command_words
from evolve.llm.desk import Desk
from evolve.llm.prompting import Prompts
from evolve.machine import llm_hint
from evolve.monitor import LiveMonitor, PlainMonitor
from evolve.race import race_of
from evolve.replication import REPLICATE_SHARE
from evolve.rundir import EngineLock, RunDirectory
from evolve.sandbox.confinement import Mode
from evolve.sandbox.probe import WARNING, choose, describe
from evolve.settings import Settings
from evolve.spending import Spending
from evolve.stop import StopSignals
from evolve.summary import champion_lines, continue_command, duration, lineage_lines, locked_lines
from evolve.trials import Data, TrialMaker, prepare, require_corpus
from evolve.variation.merge_driver import install
from evolve.warmup import fill_compile_cache

SEED_REPLICATES = 3  # at least: the noise of a run is measured before anything is selected by it
OUTSIDE_BOX = 2.5  # seconds a trial spends outside its box, for the first estimate of the duration


def run(settings: Settings, arguments: list[str]) -> int:
    """Start or continue a search and see it to its end; returns the exit code.

    Raises UserError for whatever the user has to mend, before anything is started where possible.
    """
    console = Console(highlight=False)
    arena = _arena(settings)
    directory = RunDirectory.choose(settings.out, arena.name, settings.fresh)
    desk = Desk.of(settings)
    if settings.agent:
        command_words(settings.agent)  # refused here, before anything runs
    choose(settings.sandbox)  # the same
    with explained_faults(directory), EngineLock(directory), contextlib.ExitStack() as closing:
        archive = None
        if directory.archive.exists():
            # To write, at once: a reader could not open what a power cut left, and this mends it.
            archive = closing.enter_context(Archive.open(directory.archive, write=True))
            state = archive.read_state()
            arena = _check_same(state, _arena(settings, state), settings, directory)
        slots = slots_on(arena.device, settings.workers, arena.cores)
        data = prepare(arena)
        if archive is None:
            archive = closing.enter_context(_create(directory, arena, data, settings, hardware(slots)))
        else:
            require_corpus(archive.read_state()["corpus"], data, directory)
        install(directory.archive)  # so that `git merge` there does what the crossover operator does
        if not archive.individuals:
            archive.add(Offspring(arena.seed_genome, (), "seed", f"The seed genome of {arena.name}", 0))
        return _search(settings, arguments, console, arena, directory, data, archive, slots, desk)


def _arena(settings: Settings, state: dict[str, Any] | None = None) -> Arena:
    """The arena that is asked for; where none is, that of the archived search of `state`, or the machine's default."""
    if settings.arena is None and state is not None:
        arena = arenas.of_run(state)
    else:
        arena = arenas.load(settings.arena or ("gpt_h100" if list_gpus() else "gpt_cpu"))
    if settings.time_box is not None:
        arena = replace(arena, time_box=settings.time_box)
    return arena if settings.corpus is None else arena.on_corpus(settings.corpus)


@contextlib.contextmanager
def explained_faults(directory: RunDirectory) -> Iterator[None]:
    """Raises UserError, with what to do, for a disk that cannot be written and for a fault of the harness."""
    try:
        yield
    except OSError as error:
        if not os.access(directory.archive, os.F_OK):
            a_file = isinstance(error, FileExistsError | NotADirectoryError)
            raise UserError(
                f"{error.filename or directory.path} could not be written: "
                f"{'it is a file, no folder' if a_file else error.strerror or error}. Nothing was evaluated yet: mend "
                "that, or name another folder with --out."
            ) from error
        raise UserError(
            f"{error.filename or directory.path} could not be written: {error.strerror or error}. What was "
            "evaluated before is safe. Free some space or mend the disk, then run the same command again."
        ) from error
    except HarnessFault as fault:
        raise UserError(
            f"A trial could not be started, ended or cleared away: {fault}. What was evaluated before is safe; "
            "see to that, then run the same command again."
        ) from fault


def recovery_lines(archive: Archive) -> list[str]:
    """What had to be mended in an archive, for the first lines of output."""
    return [f"{'recovered':<10} {sentence}" for sentence in archive.recovered]


def _search(
    settings: Settings,
    arguments: list[str],
    console: Console,
    arena: Arena,
    directory: RunDirectory,
    data: Data,
    archive: Archive,
    slots: list[Slot],
    desk: Desk | None,
) -> int:
    shutil.rmtree(directory.trials, ignore_errors=True)  # left by an engine that was killed
    state = archive.read_state()
    strategy = strategies.STRATEGIES[settings.strategy]
    operators = strategies.operators(strategy, archive, state.get("refused"))
    pop, gens = strategies.plan(strategy, settings.pop, settings.gens)
    agent = make_agent(settings, arena, console)
    make_trial = TrialMaker(arena, data, directory, choose(settings.sandbox))
    outside: list[Source] = [Inbox(directory), *([agent] if agent else [])]
    evolution = Evolution(
        archive,
        strategies.toolbox(strategy, archive, settings.selection),
        make_trial,
        pop=pop,
        gens=gens,
        seed=state["seed"],
        max_evals=settings.max_evals,
        seed_replicates=max(SEED_REPLICATES, len(slots)),
        sources=[*outside, *([] if settings.llm_only else [operators])],
        replicate_share=REPLICATE_SHARE if strategy.honest and settings.selection != "plain" else 0.0,
        confirm=settings.confirm,
        racing=race_of(archive, arena.schedule) if strategy.honest and not settings.no_racing else None,
        flagged=arena.flagged,
        spending=Spending(arena.time_box, settings.max_boxes, settings.max_seconds),
    )
    archive.write_state({**state, "pop": pop, "gens": gens})
    _introduce(console, arena, data, directory, evolution, slots, desk, make_trial.sandbox)
    if agent:
        limit = duration(settings.agent_time)
        console.print(f"{'agent':<10} {agent.model}, at most {limit} each, with this environment", markup=False)
    monitor_type = LiveMonitor if console.is_terminal else PlainMonitor
    with (
        agent or contextlib.nullcontext(),
        StopSignals(settings.max_hours, box=arena.time_box, notice=settings.notice) as stop,
        LocalExecutor(slots) as executor,
        monitor_type(evolution, len(slots), stop, console) as monitor,
        contextlib.ExitStack() as closing,
    ):
        if desk is not None:
            reports = arena.score == "harness"  # else nobody knows when it has taken its first step
            writer = desk.writer(
                archive,
                arena,
                len(slots),
                state["seed"],
                operators,
                dry_run=DryRun(make_trial.dry, evolution.toolbox.evaluate, executor) if reports else None,
                say=lambda text: console.print(text, markup=False, soft_wrap=True),
                give_up=stop.give_up,
            )
            # Only dry runs can run when the search has returned: one that hangs would keep it from ending.
            closing.callback(executor.shutdown, cancel_futures=True)
            closing.callback(writer.close)
            # The writer makes what the operators would, too, so that one bandit divides these births.
            evolution.sources = [*outside, writer]
        if arena.compile_cache and not Path(make_trial.compiled).exists() and evolution.evaluations_left:
            warm = make_trial.warm(evolution.seed_individual)
            say = functools.partial(console.print, markup=False, soft_wrap=True)
            fill_compile_cache(warm, evolution.toolbox.evaluate, executor, stop, say)
        search(evolution, executor, len(slots), monitor, stop)
    refused = operators.refused + (agent.refused if agent else Counter())
    archive.write_state({**archive.read_state(), "refused": dict(refused)})
    seed = evolution.seed_individual
    if evolution.best is None:
        if not seed.outcomes:
            console.print("Stopped before the seed genome was measured.")
            return stop.exit_code
        outcome = seed.outcomes[-1]
        tail = archive.curves(seed)[-1]["tail"]
        raise UserError(
            f"The seed genome {arena.folder / arena.script} does not train ({outcome.status}: {outcome.reason}), "
            f"so no search was started. Its last lines:\n{tail}"
        )
    _conclude(console, evolution, arena, directory, arguments, settings.gens)
    if agent:
        console.print(agent.summary(), markup=False, soft_wrap=True)
    return stop.exit_code


def make_agent(settings: Settings, arena: Arena, console: Console) -> Agent | None:
    """The coding agent that the user named. Raises UserError where it cannot be used."""
    if settings.agent is None:
        return None
    return Agent(
        settings.agent,
        arena,
        seconds=settings.agent_time,
        prompts=Prompts(Path(settings.prompts) if settings.prompts else None),
        program=Path(settings.program) if settings.program else None,
        say=lambda text: console.print(text, markup=False, soft_wrap=True),
    )


def _check_same(state: dict[str, Any], arena: Arena, settings: Settings, directory: RunDirectory) -> Arena:
    """The arena with the archive's time box. Raises UserError where the archive is of another search."""
    beside = "Give another folder with --out, or start another run beside it with --fresh."
    if state["arena"] != arena.name:
        raise UserError(f"{directory.path} holds a search of arena '{state['arena']}', not '{arena.name}'. {beside}")
    if settings.time_box not in (None, state["time_box"]):
        raise UserError(
            f"{directory.path} was searched with a time box of {state['time_box']:g} s; scores of "
            f"{settings.time_box:g} s do not compare with those. {beside}"
        )
    searched = state.get("corpus_name", arena.corpus)
    if settings.corpus is not None and searched != arena.corpus:
        raise UserError(
            f"{directory.path} was searched on another corpus ({searched}): scores do not compare. {beside}"
        )
    if settings.strategy != state.get("strategy", "evolve"):
        raise UserError(
            f"{directory.path} was started with --strategy {state.get('strategy', 'evolve')}, not "
            f"{settings.strategy}. {beside}"
        )
    if settings.seed not in (None, state["seed"]):
        raise UserError(f"{directory.path} was started with --seed {state['seed']}, not {settings.seed}. {beside}")
    return arena.as_searched(state)


def _create(directory: RunDirectory, arena: Arena, data: Data, settings: Settings, machine: str) -> Archive:
    return Archive.create(
        directory.archive,
        {
            "arena": arena.name,
            "arena_folder": str(arena.folder.resolve()),
            "arena_toml": arena.text,
            "script": arena.script,
            "metric": arena.metric,
            "direction": arena.direction.value,
            "corpus": data.fingerprint,
            "corpus_name": arena.corpus,
            "time_box": arena.time_box,
            "seed": settings.seed or 0,
            "strategy": settings.strategy,
            "machine": machine,
        },
    )


def _introduce(
    console: Console,
    arena: Arena,
    data: Data,
    directory: RunDirectory,
    evolution: Evolution,
    slots: list[Slot],
    desk: Desk | None,
    sandbox: Mode,
) -> None:
    cores = len(slots[0].cores)
    own = any(isinstance(source, Operators) for source in evolution.sources)
    operators = f"catalogue and numeric mutation, and crossover, {llm_hint()}" if own else "the coding agent alone"
    seconds = evolution.evaluations_left * (arena.time_box + OUTSIDE_BOX) / len(slots)
    better = "lower" if arena.direction == "min" else "higher"
    done = f", {evolution.evaluations} evaluations already in it" if evolution.evaluations else ""
    lines = {
        "device": f"{arena.device} ({hardware(slots)}), {len(slots)} worker{'s' * (len(slots) > 1)} of {cores} core"
        + "s" * (cores > 1),
        "arena": f"{arena.name}: {arena.metric} ({better} is better)"
        + (f", corpus {data.name} {data.fingerprint[:12]}" if data.name else ""),
        "time box": f"{arena.time_box:g} s of training each; start-up and scoring come on top",
        "sandbox": describe(sandbox),
        "operators": desk.line if desk else operators,
        "archive": f"{directory.archive}{done}",
        "duration": f"about {duration(seconds)} for {evolution.evaluations_left} evaluations; "
        "replicates and confirmation come on top",
    }
    for name, text in lines.items():
        console.print(f"{name:<10} {text}", markup=False, soft_wrap=True)
    for line in recovery_lines(evolution.archive):
        console.print(line, markup=False, soft_wrap=True)
    if sandbox is Mode.NONE:
        console.print(f"{'warning':<10} {WARNING}", markup=False, soft_wrap=True)
    recorded = evolution.archive.read_state().get("machine", "")
    if recorded != hardware(slots):
        console.print(f"{'warning':<10} this run was started on another machine ({recorded}): scores may not compare")


def _conclude(
    console: Console, evolution: Evolution, arena: Arena, directory: RunDirectory, arguments: list[str], gens: int
) -> None:
    best = evolution.champion
    assert best is not None
    noise = evolution.estimates.noise
    finished = evolution.births >= evolution.births_planned
    going_on = continue_command(arguments, str(directory.path), gens, finished)
    spent = ["           (with a larger --max-boxes or --max-seconds)"] if evolution.spending.spent(0) else []
    lines = [
        "",
        *([evolution.exhausted, ""] if evolution.exhausted else []),
        *champion_lines(best, evolution.seed_individual, noise, arena.metric, arena.direction, directory.path),
        *locked_lines(best, evolution.seed_individual),
        "",
        "Lineage",
        *lineage_lines(evolution.archive.lineage(best)),
        "",
        *_progress(evolution),
        f"Spent      {evolution.spending} in the search",
        *([f"Racing     {evolution.racing.record}"] if evolution.racing is not None else []),
        "",
        f"Continue   {going_on}",
        *spent,
        f"Look       git -C {directory.archive} log --graph --oneline --notes=evolve champion",
        f"Use        git -C {directory.archive} show champion:{arena.script}",
    ]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _progress(evolution: Evolution) -> list[str]:
    """The population over the generations, in at most ten rows."""
    rows = list(evolution.logbook)
    step = -(-len(rows) // 10) or 1
    shown = rows[step - 1 :: step]
    lines = [f"  {'generation':>10} {'evaluations':>12} {'best':>8} {'mean':>8} {'worst':>8}  of the population"]
    for row in shown:
        figures = " ".join(f"{row[name]:>8.4f}" for name in ("best", "mean", "worst"))
        lines.append(f"  {row['gen']:>10} {row['evaluations']:>12} {figures}")
    return lines if shown else []
