"""From settings to a Writer: everything that can be checked is, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from evolve.archive.repository import Archive
from evolve.arena import Arena
from evolve.breeding import Operators
from evolve.errors import UserError
from evolve.llm.budget import Budget
from evolve.llm.ensemble import Ensemble
from evolve.llm.ledger import spent
from evolve.llm.prompting import Prompts
from evolve.llm.writer import Options, Writer
from evolve.settings import Settings


class Desk:
    """The language models of a search, asked once each and found to answer, and what they are to write with."""

    def __init__(self, settings: Settings) -> None:
        """Raises UserError for whatever the user has to mend: a key, a name, a price, a prompt, a file."""
        self._settings = settings
        self._options = Options(
            Prompts(Path(settings.prompts) if settings.prompts else None),
            settings.prompt_tokens,
            Path(settings.program) if settings.program else None,
            settings.repairs,
        )
        models = settings.ensemble
        Budget(max_cost=settings.max_cost).check(models)
        self.ensemble = Ensemble(models)
        self.ensemble.probe()

    @classmethod
    def of(cls, settings: Settings) -> Desk | None:
        """None where no model is named; files are looked for even so. Raises UserError."""
        if settings.program and not Path(settings.program).is_file():
            raise UserError(f"The file {settings.program} of --program does not exist.")
        if settings.prompts:
            Prompts(Path(settings.prompts))  # refuses what is no such folder
        if settings.ensemble:
            return cls(settings)
        if settings.llm_only and not settings.agent:
            raise UserError("--llm-only needs a language model: name one with --model, or a coding agent with --agent.")
        return None

    @property
    def line(self) -> str:
        """What the first lines of a search say of its operators."""
        names = ", ".join(
            name + (f" ({error.message})" if (error := self.ensemble.absent.get(name)) else "")
            for name in self.ensemble.models
        )
        others = "" if self._settings.llm_only else "; catalogue mutation and crossover beside"
        return f"mutation by {names}{others}"

    def writer(
        self,
        archive: Archive,
        arena: Arena,
        workers: int,
        seed: int,
        operators: Operators,
        *,
        dry_run: Callable[[str], str] | None,
        say: Callable[[str], None],
        give_up: Callable[[str], None],
    ) -> Writer:
        """The source of a search with so many workers; see Writer."""
        settings = self._settings
        total = spent(exchange for _, exchange in archive.exchanges())
        for probe in self.ensemble.probes.values():
            total = total.plus(probe.input_tokens + probe.output_tokens, probe.cost)
        return Writer(
            archive,
            arena,
            self.ensemble,
            Budget(max_cost=settings.max_cost, max_tokens=settings.max_tokens, spent=total),
            replace(self._options, ahead=2 * workers + 1),
            seed=seed,
            operators=None if settings.llm_only else operators,
            dry_run=dry_run,
            say=say,
            give_up=give_up,
        )
