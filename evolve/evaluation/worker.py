"""The worker's side of one trial: its folder, its process, its deadlines, and what became of it."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from evolve.evaluation import classify, compile_cache, heartbeat
from evolve.evaluation.channel import Channel
from evolve.evaluation.deadlines import deadline
from evolve.evaluation.environment import genome_environment, parent_environment
from evolve.evaluation.executors import Slot, current_slot, require_linux, stop_requested
from evolve.evaluation.isolation import Isolation, is_forked, launch
from evolve.evaluation.launcher import Exit, Supervised
from evolve.evaluation.output import Output
from evolve.evaluation.report import Report
from evolve.evaluation.trial import CANCEL_FILE, RACED, Cancelled, HarnessFault, Trial
from evolve.individual import Outcome, Status
from evolve.sandbox.confinement import Mode

POLL = 0.1  # seconds between looks at the deadline and the cancel file
BEAT = 0.25  # seconds between heartbeats
COUNT_SHARE = 0.05  # of a core, at most, for looks at the CPU time of a trial of very many processes
KILL_CAP = 5.0  # seconds that a supervisor has to end its tree, before it is itself killed
FAULT_CAP = 30.0  # seconds after which a tree that does not end is the harness's fault
READ_SIZE = 64 * 1024  # bytes: what a pipe holds
SCORER = "scorer.py"


def run_trial(trial: Trial) -> Outcome:
    """Run one trial in the calling thread's slot and tell how it ended.

    Nothing that a genome does raises here. Raises Cancelled where the trial was called off without an
    outcome, UserError where the arena cannot be run, and HarnessFault or OSError where the harness fails.
    """
    require_linux()
    folder = Path(trial.folder)
    _remove(folder)  # of an engine that was killed
    try:
        (trial.scratch / "tmp").mkdir(parents=True)
        # A text that UTF-8 cannot write is left to Python to refuse: the genome's error, not the harness's.
        (trial.scratch / trial.script).write_bytes(trial.source.encode("utf-8", errors="surrogatepass"))
        compile_cache.bring(trial)
        ending = _watched(trial)
        outcome = classify.outcome(trial, ending)
        if trial.fills_cache and outcome.status is Status.OK:
            compile_cache.keep(trial)
        if trial.rescores(outcome.score):
            _remove(trial.scratch)  # nothing that the genome left may reach those who score its model
            again = _score_again(trial) if ending.report.exported is not None else None
            outcome = classify.rescored(outcome, ending, again)
        return outcome
    finally:
        _remove(folder)


def _watched(trial: Trial) -> classify.Ending:
    with _pipe() as output, Channel() as channel:
        return _Run(trial, output, channel).watch()


def _score_again(trial: Trial) -> classify.Ending:
    """Score the model that was handed over once more, in processes of their own without any training data."""
    folder = Path(trial.folder)
    source = folder / "genome"
    source.write_bytes(trial.source.encode("utf-8", errors="surrogatepass"))
    scorer = replace(
        trial,
        source=f"from {trial.scorer} import main\nmain()\n",
        script=SCORER,
        command=("{python}", "{script}"),
        folder=str(folder / "again"),
        opening=(str(source), *map(str, _exports(trial))),
        grace=trial.scoring,
        startup_cpu=math.inf,
        bar=None,
    )
    (scorer.scratch / "tmp").mkdir(parents=True)
    (scorer.scratch / SCORER).write_text(scorer.source, encoding="utf-8")
    return _watched(scorer)


def _exports(trial: Trial) -> tuple[Path, Path]:
    """Where a genome's process writes its trained model: as a state, and as a graph."""
    return Path(trial.folder, "model.state"), Path(trial.folder, "model.graph")


@contextlib.contextmanager
def _pipe() -> Iterator[list[int]]:
    """Both ends of a pipe, [reading, writing], of which those still in the list are closed at the end."""
    ends = list(os.pipe())
    os.set_blocking(ends[0], False)
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


class _Run:
    """A genome that is running: its pipes, its supervisor, and what was decided about it."""

    def __init__(self, trial: Trial, output: list[int], channel: Channel) -> None:
        self._trial = trial
        self._folder = Path(trial.folder)
        self._output = Output(trial.output_kb * 1000)
        self._report = Report(trial.metric)
        self._channel = channel
        self._readers: dict[int, Callable[[bytes], None]] = {output[0]: self._output.feed}
        reports = trial.score == "harness"
        if reports:
            self._readers[channel.ours] = self._take_events
        self._slot = current_slot()
        self._cpu: dict[str, float] = {}  # CPU seconds of all its processes when an event came
        self._genome = _launch(trial, self._slot, output[1], channel.theirs if reports else None)
        os.close(output.pop())  # the genome's tree now holds the only other ends
        channel.close_theirs()
        self._unix, self._started = time.time(), time.monotonic()
        self._exit: Exit | None = None
        self._over = False
        self._stop: tuple[Status, str] | None = None
        self._cancelled = ""
        self._killed: float | None = None  # when its end was asked for
        self._next_look = self._next_beat = self._next_count = self._started

    def watch(self) -> classify.Ending:
        """Follow the genome to its end. Raises Cancelled and HarnessFault; its tree is dead in any case."""
        with contextlib.closing(self._genome), selectors.DefaultSelector() as selector:
            for fd in self._readers:
                selector.register(fd, selectors.EVENT_READ)
            selector.register(self._genome.control, selectors.EVENT_READ)
            while not self._over:
                # Taken before reading, so that a deadline has passed only where nothing written before
                # it is still unread, however long this thread had to wait for its turn.
                now = time.monotonic()
                for key, _ in selector.select(POLL):
                    if key.fileobj is self._genome.control:
                        self._exit, self._over = self._genome.read_exit(), True
                    elif not self._read(key.fd):
                        selector.unregister(key.fd)
                if now >= self._next_look:
                    self._next_look = now + POLL
                    self._look(now)
            ended = time.monotonic()
            for fd in self._readers:
                while self._read(fd):
                    pass
        if self._cancelled:
            raise Cancelled(self._cancelled)
        return classify.Ending(
            self._report,
            self._output,
            self._stop,
            self._exit,
            self._unix,
            self._started,
            ended,
            self._cpu,
            len(self._slot.cores),
            is_forked(self._trial.preload, Mode(self._trial.sandbox)),
        )

    def _take_events(self, data: bytes) -> None:
        """Answer what asks for an answer. The genome's process waits for it: what it used of the CPU stands still."""
        for event in self._report.feed(data, time.monotonic()):
            if event in ("open", "close"):
                self._cpu[event] = self._genome.cpu_seconds()
                self._channel.answer(self._trial.opening if event == "open" else self._trial.closing)
            elif event == "result":
                again = self._trial.rescores(self._report.score)
                self._channel.answer(list(map(str, _exports(self._trial))) if again else (), write=True, again=again)

    def _read(self, fd: int) -> bool:
        """Take in what a pipe holds, at most READ_SIZE; False where there is nothing (more)."""
        try:
            data = os.read(fd, READ_SIZE)
        except BlockingIOError:
            return False
        except ConnectionResetError:  # it ended without having read an answer
            return False
        self._readers[fd](data)
        return bool(data)

    def _look(self, now: float) -> None:
        """Beat, and end the genome where it is time to."""
        if now >= self._next_beat:
            self._next_beat = now + BEAT
            self._beat(now)
        if now >= self._next_count and self._counts:
            self._count(now)
        if self._killed is None:
            if self._must_end(now):
                self._killed = now
                self._genome.kill()
        elif now > self._killed + FAULT_CAP:
            raise HarnessFault(f"process {self._genome.genome} and what it started could not be ended")
        elif now > self._killed + KILL_CAP:
            self._genome.kill_supervisor()

    @property
    def _counts(self) -> bool:
        """Whether its CPU time still matters: it has to tell when its clock is closed, and has not."""
        return self._trial.score == "harness" and self._report.closed is None

    def _count(self, now: float) -> None:
        """See what its processes have used: of those that nobody waits for, nothing is known when they have ended."""
        began = time.thread_time()
        self._genome.cpu_seconds()
        self._next_count = now + max(POLL, (time.thread_time() - began) / COUNT_SHARE)

    def _must_end(self, now: float) -> bool:
        if self._report.violation or self._report.malformed:
            return True
        why = self._why_cancelled()
        if why.startswith(RACED):
            self._stop = (Status.RACED, why.removeprefix(RACED).lstrip(": ") or "stopped early")
        elif why:
            self._cancelled = why
        else:
            until, reason = deadline(self._trial, self._report, self._started)
            if now < until:
                return False
            self._stop = (Status.TIMED_OUT, reason)
        return True

    def _why_cancelled(self) -> str:
        if stop_requested():
            return "the executor was shut down"
        try:
            return (self._folder / CANCEL_FILE).read_text(encoding="utf-8", errors="replace") or "called off"
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return ""

    def _beat(self, now: float) -> None:
        opened = self._report.opened
        closed = now if self._report.closed is None else self._report.closed
        heartbeat.write(
            self._folder,
            heartbeat.Heartbeat(
                phase=self._report.phase.value,
                started=self._unix,
                opened=None if opened is None else self._unix + opened - self._started,
                elapsed=0.0 if opened is None else max(0.0, closed - opened),
                progress=self._report.progress,
                loss=self._report.loss,
                curve=self._report.curve,
                pid=self._genome.genome,
            ),
        )


def _launch(trial: Trial, slot: Slot, output: int, report: int | None) -> Supervised:
    script = str(trial.scratch / trial.script)
    words = {"{python}": sys.executable, "{script}": script}
    isolation = Isolation(
        Mode(trial.sandbox),
        scratch=trial.scratch,
        readable=trial.readable,
        hidden=trial.hidden,
        memory_mb=trial.memory_mb,
        scratch_mb=trial.scratch_mb,
        device=trial.device,
    )
    return launch(
        [words.get(word, word) for word in trial.command],
        isolation,
        preload=trial.preload,
        environment=genome_environment(trial, slot),
        parent_environment=parent_environment(slot, trial.environment),
        slot=slot,
        output=output,
        descriptors=[] if report is None else [report],
    )


def _remove(folder: Path) -> None:
    """Remove a trial's folder, whatever the genome made of it. Raises HarnessFault where that fails."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        # Unreadable or very deep folders: the system's own tools know how.
        subprocess.run(["chmod", "-R", "u+rwx", str(folder)], capture_output=True, check=False)
        done = subprocess.run(["rm", "-rf", str(folder)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise HarnessFault(f"{folder} cannot be removed: {done.stderr.strip()}") from None
