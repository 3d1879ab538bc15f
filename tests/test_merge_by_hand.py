"""`git merge` by hand, in a clone with the driver set as the README says, gives the operator's tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from evolve.archive.repository import Archive
from tests.stub import evolve


def test_every_crossover_of_a_search_can_be_repeated_with_git(tmp_path: Path) -> None:
    evolve(tmp_path / "run", pop=6, gens=15)
    clone = tmp_path / "clone"

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(clone), "-c", "user.name=me", "-c", "user.email=me@localhost", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    subprocess.run(["git", "clone", "-q", str(tmp_path / "run" / "archive.git"), str(clone)], check=True)
    git("fetch", "-q", "origin", "refs/individuals/*:refs/individuals/*")
    driver = [sys.executable, "-m", "evolve.variation.merge_driver", "--install", str(clone)]
    subprocess.run(driver, check=True, capture_output=True)
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        crossovers = [one for one in archive.individuals.values() if one.operator == "crossover"]
    assert len(crossovers) >= 5
    for child in crossovers[:12]:
        assert git("rev-list", "--parents", "-n1", child.commit).split()[1:] == [
            git("rev-parse", f"refs/individuals/{id}") for id in child.parents
        ]
        git("checkout", "-q", "--detach", f"refs/individuals/{child.parents[0]}")
        git("merge", "-q", "-m", "by hand", f"refs/individuals/{child.parents[1]}")
        assert git("rev-parse", "HEAD^{tree}") == git("rev-parse", f"{child.commit}^{{tree}}")
