"""`evolve bundle`: a lineage for another person, as a git bundle or as a plain folder."""

from __future__ import annotations

import shlex
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evolve import arena as arenas
from evolve.archive import plumbing
from evolve.archive.history import CHAMPION, HEADS
from evolve.archive.loading import DERIVED_REFS, INDIVIDUALS
from evolve.archive.objects import FILE_MODE, Changes, Entry
from evolve.archive.packs import write_pack
from evolve.archive.repository import Archive
from evolve.archive.store import Store
from evolve.errors import UserError
from evolve.individual import Individual
from evolve.lineages.replay import replayed
from evolve.lineages.steps import path_to, steps_of
from evolve.lineages.tables import replay_lines
from evolve.rundir import RunDirectory
from evolve.summary import lineage_lines

_LOCAL = ("arena_folder", "refused")  # of the state: what means nothing elsewhere


def bundle(run: str, ref: str, file: str, arena: str | None = None) -> str:
    """Write the lineage of `ref` to `file`; returns what was written, in words.

    A name that ends in .bundle becomes a git bundle: an archive of the individual and all its ancestors with their
    evaluations, `ref` being the champion. Any other name becomes a folder: script, README, patch series.
    Exchanges with language models stay at home. Raises UserError.
    """
    if not file:
        raise UserError("FILE is empty: give a name ending in .bundle, or a folder that does not exist.")
    target = Path(file)
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise UserError(f"{file} exists already. Name another place.")
    with Archive.open(RunDirectory.find(run).archive) as archive:
        individual = archive.resolve(ref)
        steps_of(archive, individual)  # refuses what has none
        portable = _portable(archive.read_state(), arena)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".bundle-", dir=target.parent) as scratch:
                if target.suffix == ".bundle":
                    return _git_bundle(archive, individual, portable, target, Path(scratch))
                return _folder(archive, individual, portable, target, Path(scratch))
        except OSError as error:
            raise UserError(f"{file} could not be written: {error.strerror or error}.") from error


def _git_bundle(archive: Archive, individual: Individual, state: Mapping[str, Any], target: Path, scratch: Path) -> str:
    kin = _kin(archive, individual)
    repository = scratch / "archive.git"
    extract(archive, kin, individual, state, repository)
    draft = (scratch / "draft").resolve()
    plumbing.run(repository, "bundle", "create", "--quiet", str(draft), "HEAD", "--all")
    draft.rename(target)
    evaluations = sum(len(one.outcomes) + len(one.studies) for one in kin)
    name = shlex.quote(target.stem + ".git")
    return (
        f"{target}: {individual.name} and its {len(kin) - 1} ancestors with {evaluations} evaluations. "
        f"Another person goes on with\n"
        f"  git clone --mirror {shlex.quote(target.name)} {name}\n"
        f"  python -m evolve replay {name} champion"
    )


def _kin(archive: Archive, individual: Individual) -> list[Individual]:
    """The individual and all its ancestors, second parents and theirs among them, in order of their ids."""
    found: set[int] = set()
    waiting = [individual.id]
    while waiting:
        id = waiting.pop()
        if id not in found:
            found.add(id)
            waiting += archive.everyone[id].parents
    return [archive.everyone[id] for id in sorted(found)]


def extract(
    archive: Archive, kin: Sequence[Individual], champion: Individual, state: Mapping[str, Any], path: Path
) -> None:
    """Make an archive at `path` of `kin` alone, by the same commits, with ids in the same order but from 0.

    Its objects are borrowed from `archive`. Raises ArchiveWriteError.
    """
    Archive.create(path, state).close()
    alternates = path / "objects" / "info" / "alternates"
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_text(f"{(archive.path / 'objects').resolve()}\n", encoding="utf-8")
    changes = Changes(objects=archive.unsettled(), refs={f"{HEADS}{CHAMPION}": champion.commit})
    numbers: Counter[str] = Counter()
    for one in kin:
        prefix = DERIVED_REFS if one.derived else INDIVIDUALS
        changes.refs[f"{prefix}{numbers[prefix]}"] = one.commit
        numbers[prefix] += 1
        for ref, text in archive.notes_of(one).items():
            changes.notes.setdefault(ref, {})[one.commit] = changes.blob(text, ref)
    store = Store(path, write=True)
    store.write(changes)
    store.close()


def _portable(state: Mapping[str, Any], arena: str | None) -> dict[str, Any]:
    """The state without what means nothing elsewhere, but with the arena's own file. Raises UserError."""
    portable = {key: value for key, value in state.items() if key not in _LOCAL}
    if arena is not None or "arena_toml" not in portable:
        portable["arena_toml"] = arenas.of_run(state, arena).text
    return portable


def _folder(archive: Archive, individual: Individual, state: Mapping[str, Any], target: Path, scratch: Path) -> str:
    script = state["script"]
    line = path_to(archive, individual)
    made = scratch / "folder"
    (made / "base").mkdir(parents=True)
    (made / script).write_text(individual.genome, encoding="utf-8", newline="")
    (made / "base" / script).write_text(line[0].genome, encoding="utf-8", newline="")
    (made / "arena.toml").write_text(state["arena_toml"], encoding="utf-8")
    _patches(line, script, scratch / "patches.git", made / "patches")
    (made / "README.md").write_text(_readme(archive, individual, line, state), encoding="utf-8")
    if target.exists():
        target.rmdir()  # an empty one, as was checked
    made.rename(target)
    return f"{target}: {script} of {individual.name}, its base, {len(line) - 1} patches; see its README.md."


def _patches(line: Sequence[Individual], script: str, repository: Path, folder: Path) -> None:
    """One patch a step, as `git format-patch` writes them; a merge is the patch against its first parent."""
    plumbing.run(repository, "init", "--quiet", "--bare", "--template=", "--object-format=sha1")
    changes = Changes()
    commits: list[str] = []
    for one in line:
        blob = changes.blob(one.genome.encode(), script)
        tree = changes.tree([Entry(FILE_MODE, script, blob)], "")
        origin = f"{one.name} of the archive, operator {one.operator}, commit {one.commit}"
        commits.append(changes.commit(tree, commits[-1:], f"{' '.join(one.idea.split())}\n\n{origin}"))
    write_pack(repository, changes.objects)
    folder.mkdir()
    if len(commits) > 1:
        span = f"{commits[0]}..{commits[-1]}"
        plumbing.run(repository, "format-patch", "--quiet", "-o", str(folder.resolve()), span)


def _readme(archive: Archive, individual: Individual, line: Sequence[Individual], state: Mapping[str, Any]) -> str:
    script = state["script"]
    box = individual.time_box or state["time_box"]
    studied = len(line) > 1 and any(one.studies for one in line)
    table = replay_lines(replayed(archive, individual.name)) if studied else lineage_lines(line)
    kind = "claimed by the search and replayed" if studied else "as the search measured them; not replayed"
    return "\n".join(
        [
            f"# {individual.name}: {individual.idea}",
            "",
            f"`{script}`, found by a search with evolve: arena {state['arena']}, {state['metric']} "
            f"({'lower' if state['direction'] == 'min' else 'higher'} is better), boxes of {box:g} s, corpus "
            f"{state['corpus'][:12] or 'none'}, on {state.get('machine', 'an unknown machine')}.",
            "",
            f"The steps, {kind}:",
            "",
            "```",
            *table,
            "```",
            "",
            f"`base/{script}` is where the lineage begins, `patches/` has its steps in order, `arena.toml` says how",
            "it is run. It runs where evolve is installed. Scores compare only on the same corpus and machine.",
            "",
            "To run the script once, in one box: " + f"`python {script}`. To replay all steps:",
            "",
            "```bash",
            f"git init -q steps && cp base/{script} steps/ && cd steps && git add . && git commit -qm Base",
            "git am -q --keep-cr ../patches/*.patch && cd ..",
            f"python -m evolve import steps --arena . --script {script} --time-box {box:g} --out replayed",
            "python -m evolve replay replayed champion",
            "```",
            "",
        ]
    )
