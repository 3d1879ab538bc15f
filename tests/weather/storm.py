"""A search by `python -m evolve` under random faults, and what must hold after each of them."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from evolve.archive import Archive, journal, refs
from evolve.archive.packs import checkpoint_packs, object_ids
from tests.command import TOY, evolve, start
from tests.weather.aftermath import PATIENCE, told
from tests.weather.orphans import Nursery

FAULT_EVERY = (15, 45)  # outcomes
PLAN = ("--arena", TOY, "--out", "run", "--pop", 10, "--gens", 10**6, "--time-box", 0.02, "--seed", 1, "--confirm", 0)


@dataclass
class Figures:
    """What a storm did and found; `lost`, `doubled`, `orphans`, `unsound` and `untold` must be zero or empty."""

    faults: Counter[str] = field(default_factory=Counter)
    trials: int = 0
    individuals: int = 0
    lost: int = 0  # outcomes or births that were seen once and are not in the archive
    doubled: int = 0  # outcomes of an individual and replicate beyond the first
    orphans: list[str] = field(default_factory=list)  # processes that went on after the engine that they came of
    unsound: int = 0  # times that git fsck found something
    untold: list[str] = field(default_factory=list)  # ends without the exit code or the sentence they should have
    memory: list[float] = field(default_factory=list)  # MB resident, of the engine, through its last and longest life


class Engine:
    """One life of an engine: its process, and what it prints."""

    def __init__(self, arguments: tuple[object, ...], cwd: Path) -> None:
        self.process = start(*arguments, cwd=cwd)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    @property
    def told(self) -> list[int]:
        """The individuals whose outcomes were printed, in order."""
        return told(list(self.lines))

    def wait_for(self, outcomes: int) -> bool:
        """Until it has printed so many outcomes; False where it ends before, or prints none for long."""
        count, deadline = 0, time.monotonic() + PATIENCE
        while count < outcomes:
            if (now := len(self.told)) > count:
                count, deadline = now, time.monotonic() + PATIENCE
            if self.process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def workers(self) -> list[psutil.Process]:
        """What it started, git and its packing left out."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children(recursive=True)
            return [child for child in children if "python" in _name(child)]
        return []

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    @property
    def said(self) -> str:
        return "".join(self.lines)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


class Storm:
    """Runs a search in `folder` that is ended again and again, by faults drawn from a seed.

    The search has no end of its own, so that each fault meets an engine at work. `folder` may be a file system of its
    own: it is then filled up now and then.
    """

    def __init__(self, folder: Path, seed: int, *, own_disk: bool) -> None:
        self.figures = Figures()
        self._folder = folder
        self._rng = random.Random(seed)
        self._archive = folder / "run" / "archive.git"
        self._nursery = Nursery()
        self._seen: dict[int, tuple[int, int, float | None]] = {}  # by number: individual, replicate, score
        self._births = 0
        self._expected = ""  # what the next engine has to say
        self._faults: list[Callable[[Engine], None]] = [
            self.kill,
            self.kill_and_cut_the_power,
            self.kill_workers,
            self.stop_a_worker,
            self.terminate,
            self.interrupt_twice,
            self.start_another,
            self.work_in_the_archive,
            *([self.fill_the_disk] if own_disk else []),
        ]

    def run(self, enough: Callable[[Figures], bool], say: Callable[[str], None] = lambda _: None) -> None:
        """Start engines, a fault each, until the figures are enough. Each fault comes once before one comes twice."""
        with self._nursery:
            for fault in self._drawn():
                if enough(self.figures):
                    return
                name = fault.__name__.replace("_", " ")
                engine = self._start()
                if not engine.wait_for(self._rng.randint(*FAULT_EVERY)):
                    self.figures.untold.append(f"did not get to '{name}': {engine.said[-2000:]}")
                time.sleep(self._rng.uniform(0.0, 0.2))
                fault(engine)
                self.figures.faults[name] += 1
                say(f"{self.figures.trials} trials, {name}")

    def rest(self, trials: int) -> None:
        """So many trials more in one undisturbed life, with a look at its memory now and then."""
        with self._nursery:
            engine = self._start("--max-evals", self.figures.trials + trials)
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(engine.process.pid)
                while engine.process.poll() is None:
                    resident = process.memory_info().rss / 1e6
                    if resident and len(engine.told) >= FAULT_EVERY[1]:  # none in the moment of its end
                        self.figures.memory.append(resident)
                    time.sleep(0.5)
            self._end(engine, 0, "Continue")

    def _drawn(self) -> Iterator[Callable[[Engine], None]]:
        while True:
            yield from self._rng.sample(self._faults, len(self._faults))

    # Faults: each ends the engine and checks what it left.

    def kill(self, engine: Engine) -> None:
        self._kill(engine)

    def kill_and_cut_the_power(self, engine: Engine) -> None:
        self._kill(engine)
        if self._lose_last_writes():
            self._expected = "made again from the journal"

    def kill_workers(self, engine: Engine) -> None:
        workers = engine.workers()
        for worker in self._rng.sample(workers, min(3, len(workers))):
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        engine.wait_for(len(engine.told) + 5)
        engine.process.send_signal(signal.SIGINT)
        self._end(engine, 0, "running boxes finish")

    def stop_a_worker(self, engine: Engine) -> None:
        """A trial's process that does not go on, nor says so."""
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            self._rng.choice(engine.workers()).suspend()
        engine.wait_for(len(engine.told) + 5)
        engine.process.send_signal(signal.SIGINT)
        self._end(engine, 0, "running boxes finish")

    def terminate(self, engine: Engine) -> None:
        engine.process.send_signal(signal.SIGTERM)
        self._end(engine, 130, "terminated")

    def interrupt_twice(self, engine: Engine) -> None:
        engine.process.send_signal(signal.SIGINT)
        time.sleep(0.01)
        engine.process.send_signal(signal.SIGINT)
        self._end(engine, None, "interrupted")

    def start_another(self, engine: Engine) -> None:
        other = evolve(*PLAN, cwd=self._folder)
        if other.returncode != 2 or f"process {engine.process.pid}" not in other.stderr:
            self.figures.untold.append(f"a second engine: {other.returncode} {other.stderr}")
        self._kill(engine)

    def work_in_the_archive(self, engine: Engine) -> None:
        """A user's git beside the engine."""
        deadline = time.monotonic() + PATIENCE
        while self._git("rev-parse", "--verify", "-q", "champion").returncode != 0 and time.monotonic() < deadline:
            time.sleep(0.05)  # git knows of what was printed a second later
        branch = f"mine-{self._rng.randrange(10**9)}"
        for command in (["branch", branch, "champion"], ["pack-refs", "--all"], ["repack", "-q"], ["gc", "-q"]):
            done = self._git(*command)
            if done.returncode != 0 and "lock" not in done.stderr:
                self.figures.untold.append(f"git {command[0]}: {done.stderr}")
        log = self._git("log", "--oneline", "--notes=evolve", "champion")
        if '"score"' not in log.stdout:
            self.figures.untold.append(f"git log: {log.stderr or log.stdout[:200]}")
        self._kill(engine)
        if self._git("rev-parse", "--verify", "-q", branch).returncode != 0:
            self.figures.lost += 1

    def fill_the_disk(self, engine: Engine) -> None:
        ballast = self._folder / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        self._end(engine, 2, "could not be written")
        ballast.unlink()
        self._check([])

    # What comes after

    def _kill(self, engine: Engine) -> None:
        engine.process.kill()
        self._end(engine, -signal.SIGKILL, "")

    def _start(self, *more: object) -> Engine:
        return Engine((*PLAN, *more), self._folder)

    def _end(self, engine: Engine, code: int | None, words: str) -> None:
        """Wait for the engine's end, and check what it said and left; `code` None: any that is no fault."""
        try:
            ended = engine.wait()
        except subprocess.TimeoutExpired:
            self.figures.untold.append(f"did not end: {engine.said[-500:]}")
            engine.process.kill()
            ended = engine.wait()
        known = (0, 130) if code is None else (code,)
        if ended not in known or words not in engine.said or "Traceback" in engine.said:
            self.figures.untold.append(f"ended with {ended}, not {code} and '{words}': {engine.said[-2000:]}")
        if self._expected not in engine.said:
            self.figures.untold.append(f"'{self._expected}' was not said: {engine.said[:2000]}")
        self._expected = ""
        self._check(engine.told)

    def _check(self, printed: list[int]) -> None:
        figures = self.figures
        figures.orphans += self._nursery.orphans(PATIENCE)
        with Archive.open(self._archive) as archive:
            outcomes = [(one.id, outcome.replicate, outcome.score) for one, outcome in archive.in_order()]
            births = len(archive.individuals)
        now = dict(enumerate(outcomes))
        figures.lost += sum(now.get(n) != outcome for n, outcome in self._seen.items()) + max(0, self._births - births)
        figures.lost += len(set(printed) - {id for id, _, _ in outcomes})
        figures.doubled = len(outcomes) - len({(id, replicate) for id, replicate, _ in outcomes})
        self._seen, self._births = now, births
        figures.trials, figures.individuals = len(outcomes), births
        fsck = self._git("fsck", "--no-dangling", "--no-progress")
        figures.unsound += fsck.returncode != 0 or bool(fsck.stdout)

    def _lose_last_writes(self) -> bool:
        """Damage files of the last checkpoint, and tear the write that was under way; whether git lacks something."""
        previous = journal.read(journal.load(self._archive / journal.PREVIOUS)).changes.objects.keys()
        packs = [pack for pack in checkpoint_packs(self._archive) if previous & set(object_ids(pack))][-1:]
        files = [file for pack in packs for file in (pack, pack.with_suffix(".idx"))]
        files += [self._archive / refs.PACKED] if previous else []
        chosen = self._rng.sample(files, self._rng.randint(0, len(files)))
        for file in chosen:
            data = file.read_bytes()
            file.unlink()
            if self._rng.random() < 0.7:
                file.write_bytes(data[: self._rng.choice([0, self._rng.randrange(len(data))])])
        with (self._archive / journal.JOURNAL).open("ab") as file:
            file.write(b"0123abcd 5000\n" + self._rng.randbytes(self._rng.randrange(4000)))
        return bool(chosen)

    def _git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "-C", str(self._archive), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)
