"""A coding agent as an operator: any command that edits a file, in a scratch checkout of the parent."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.arena import Arena
from evolve.errors import UserError
from evolve.individual import Individual, Offspring, Outcome
from evolve.llm.agent_process import AgentProcess, Ending
from evolve.llm.briefing import brief
from evolve.llm.checkout import check_out, read_change
from evolve.llm.context import mutation_messages
from evolve.llm.ideas import Notes, read_notes
from evolve.llm.memory import Memory
from evolve.llm.prompting import MAX_TOKENS, Prompts, PromptTooLong
from evolve.llm.rejection import ReplyRejected
from evolve.llm.tokens import estimate
from evolve.randomness import generator
from evolve.summary import duration
from evolve.variation.operators import Reason

if TYPE_CHECKING:
    from evolve.engine import Evolution

OPERATOR = "agent"
SECONDS = 600.0
INTENTS = ("tune", "structure", "simplify", "radical")
PLACE = "{prompt_file}"
SHORTEST_REST, LONGEST_REST = 1.0, 300.0  # seconds after a failure, doubled with each in a row

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_LABEL = re.compile(r"^\W*idea\b\W*:", re.IGNORECASE)


@dataclass(frozen=True)
class _Job:
    """What an agent is to do. All of it was read in the engine's thread."""

    archive: Path
    script: str
    parent: Individual
    source: str
    prompt: str


class _Failed(Exception):  # noqa: N818 - an ordinary answer
    """The agent brought nothing: a `kind` to count, and why."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Agent:
    """A source (see `breeding.Source`): one agent at a time, in a thread of its own; `take` never waits.

    Its parents are drawn like those of every operator. An agent that brings nothing is counted with the reason, and
    rests a while before it is asked again.
    """

    def __init__(
        self,
        command: str,
        arena: Arena,
        *,
        seconds: float = SECONDS,
        prompts: Prompts | None = None,
        program: Path | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`command`: words as in a shell, `{prompt_file}` in any of them; without it, the prompt is standard input.

        `program` is the file of the user's direction, read anew for each prompt; `say` shows the user a line. Raises
        UserError where the command names no program, or that file cannot be read.
        """
        self._words = command_words(command)
        self.model = Path(self._words[0]).name
        self.refused: Counter[str] = Counter()
        self.taken = 0
        self.last_failure = ""
        self._arena = arena
        self._seconds = seconds
        self._prompts = prompts or Prompts()
        self._program = program
        self._direction = ""
        self._say = say
        if program is not None:
            try:
                self._direction = program.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"The file {program} of --program cannot be read: {error}.") from error
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="agent")
        self._memory: Memory | None = None
        self._job: Future[Offspring] | None = None
        self._attempts = 0
        self._failures = 0  # in a row
        self._rest_until = 0.0
        self._lock = threading.Lock()
        self._process: AgentProcess | None = None
        self._stopped = False

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        """End the agent that runs, with all it started."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.end()
        self._pool.shutdown(cancel_futures=True)

    def take(self, evolution: Evolution) -> Offspring | None:
        """What the agent has brought, if it has ended; then it is set to work again."""
        offspring = self._collect(evolution) if self._job is not None and self._job.done() else None
        if self._job is None and time.monotonic() >= self._rest_until:
            try:
                self._job = self._pool.submit(self._work, self._plan(evolution))
            except PromptTooLong as error:
                self._fail("prompt too long", str(error))
        return offspring

    def prepare(self, evolution: Evolution) -> None: ...

    def born(self, individual: Individual) -> None:
        self.taken += 1

    def told(self, individual: Individual, outcome: Outcome) -> None: ...

    def summary(self) -> str:
        """What it brought in this session, in one line."""
        failures = ", ".join(f"{name} {count}" for name, count in self.refused.most_common())
        text = f"Agent      {self.taken} offspring by {self.model}" + (f"; refused: {failures}" if failures else "")
        return text + (f"; the last because {self.last_failure}" if failures else "")

    def _collect(self, evolution: Evolution) -> Offspring | None:
        assert self._job is not None
        job, self._job = self._job, None
        try:
            offspring = job.result()
            if (known := evolution.archive.find(offspring.genome)) is not None:
                raise _Failed(Reason.ARCHIVED, f"its script is the one of #{known}.")
        except _Failed as failure:
            self._fail(failure.kind, str(failure))
        except ReplyRejected as rejection:
            self._fail(rejection.kind, rejection.reason)
        except (UserError, OSError) as error:
            self._fail("not started", str(error))
        else:
            self._failures = 0
            return offspring
        return None

    def _fail(self, kind: str, reason: str) -> None:
        self.refused[f"{OPERATOR}: {kind}"] += 1
        self.last_failure = reason
        rest = min(LONGEST_REST, SHORTEST_REST * 2 ** min(self._failures, 20))
        self._rest_until = time.monotonic() + rest
        self._failures += 1
        self._say(f"The agent {self.model} brought nothing ({kind}), and rests {duration(rest)}: {reason}")

    def _plan(self, evolution: Evolution) -> _Job:
        archive = evolution.archive
        rng = generator(evolution.seed, len(archive.individuals), f"agent {self._attempts}")
        self._attempts += 1
        parent: Individual = evolution.toolbox.select(evolution.population, rng)
        intent = rng.choice(INTENTS)
        self._memory = self._memory or Memory(archive)
        context = brief(archive, evolution.population, parent, intent, self._arena, self._read_program(), self._memory)
        bound = max(MAX_TOKENS, 2 * estimate(context.source))
        script = self._arena.script
        minutes = f"{self._seconds / 60:.1f}".removesuffix(".0")
        top = self._prompts.render("agent", {"script": script, "individual": f"#{parent.id}", "minutes": minutes})
        parts = [top, *(message["content"] for message in mutation_messages(self._prompts, context, bound))]
        return _Job(archive.readable(), script, parent, parent.genome, "\n".join(parts))

    def _read_program(self) -> str:
        if self._program is not None:
            with contextlib.suppress(OSError, UnicodeDecodeError):  # being saved just now: what it said before stays
                self._direction = self._program.read_text(encoding="utf-8")
        return self._direction

    def _work(self, job: _Job) -> Offspring:
        """The background thread's work. Raises _Failed, ReplyRejected, UserError and OSError."""
        with tempfile.TemporaryDirectory(prefix="evolve-agent-", ignore_cleanup_errors=True) as folder:
            scratch = Path(folder)
            checkout, prompt = scratch / "checkout", scratch / "prompt.md"
            metadata = check_out(job.archive, job.parent, checkout)
            prompt.write_text(job.prompt, encoding="utf-8")
            ending = self._run(scratch, checkout, prompt)
            try:
                change = read_change(checkout, job.script, job.source, metadata)
            except ReplyRejected as rejection:
                raise _why(ending, rejection, self._seconds) from rejection
        notes = last_message(ending.output)
        told = {"Hypothesis": notes.hypothesis, "Expected": notes.expected, "Discarded": ", ".join(change.discarded)}
        if ending.timed_out:
            told["Ended"] = f"at its time limit of {self._seconds:g} s"
        elif ending.code:
            told["Ended"] = f"with exit code {ending.code}"
        return Offspring(
            change.genome,
            (job.parent.id,),
            OPERATOR,
            notes.idea or f"An edit by {self.model}",
            job.parent.generation + 1,
            model=self.model,
            cost={"seconds": round(ending.seconds, 3)},
            body="\n".join(f"{name}: {text}" for name, text in told.items() if text),
        )

    def _run(self, scratch: Path, checkout: Path, prompt: Path) -> Ending:
        named = any(PLACE in word for word in self._words)
        command = [word.replace(PLACE, str(prompt)) for word in self._words]
        with self._lock:
            if self._stopped:
                raise _Failed("stopped", "the search ended.")
            self._process = AgentProcess(command, checkout, Path("/dev/null") if named else prompt, scratch)
        ending = self._process.wait(self._seconds)
        with self._lock:
            self._process = None
        return ending


def last_message(output: str) -> Notes:
    """Idea, hypothesis and expected effect from what an agent printed last.

    From its last line "Idea:" on, where there is one; otherwise from the last lines that belong together.
    """
    lines = _ESCAPE.sub("", output).replace("\r", "\n").rstrip().split("\n")
    start = max((i + 1 for i, line in enumerate(lines) if not line.strip()), default=0)
    labelled = [i for i, line in enumerate(lines) if _LABEL.match(line)]
    return read_notes(lines[labelled[-1] if labelled else start :])


def _why(ending: Ending, rejection: ReplyRejected, seconds: float) -> _Failed:
    """The reason that says most: that it was ended, or that it failed, before what is wrong with its file."""
    last = next((line.strip() for line in reversed(ending.errors.splitlines()) if line.strip()), "")
    tail = f" It said: {last[:200]}" if last else ""
    if ending.timed_out:
        return _Failed("timed out", f"it was ended at its limit of {seconds:g} s. {rejection.reason}{tail}")
    if ending.code:
        return _Failed("failed", f"it ended with exit code {ending.code}. {rejection.reason}{tail}")
    return _Failed(rejection.kind, f"{rejection.reason}{tail}")


def command_words(command: str) -> list[str]:
    """The words of `--agent`, its program by absolute path. Raises UserError where there is no such program."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserError(f"--agent '{command}' cannot be read as a command: {error}.") from error
    program = shutil.which(words[0]) if words else None
    if program is None:
        raise UserError(f"--agent '{command}': there is no program '{words[0] if words else ''}' to run.")
    # It runs in another folder than the one this path may be relative to. A link stays one: it may decide what runs.
    return [str(Path(program).absolute()), *words[1:]]
