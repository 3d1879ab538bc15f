"""Compiled code that the runs of an archive share: made by the seed genome alone, copied anew for every trial.

What torch keeps of its compilations is loaded by unpickling: whoever can write there runs code in the next trial, or
hands weights on to it. So nothing that an offspring compiles is ever kept. Before the search the seed genome, the
user's own script, runs once for the cache's sake, and the harness keeps what that compiled. Every trial gets a copy
in its scratch folder, which goes with the trial. An offspring that changes no more than numbers finds
everything there; one that changes a region of the model compiles that region.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from evolve.evaluation.trial import Trial

FOLDER = "compiled"  # in a trial's scratch folder


def variables(trial: Trial) -> dict[str, str]:
    """Where torch and Triton look for compiled code, and leave it; nothing where the arena shares none."""
    if not trial.compiled:
        return {}
    own = trial.scratch / FOLDER
    return {"TORCHINDUCTOR_CACHE_DIR": str(own), "TRITON_CACHE_DIR": str(own / "triton")}


def bring(trial: Trial) -> None:
    """Give the trial its copy of what is shared; an empty folder where nothing is yet."""
    if not trial.compiled:
        return
    own = trial.scratch / FOLDER
    if Path(trial.compiled).is_dir():
        shutil.copytree(trial.compiled, own, symlinks=True)
    else:
        own.mkdir()


def keep(trial: Trial) -> None:
    """Make what the trial compiled the shared cache, whole or not at all; for a run of the seed genome alone."""
    shared, own = Path(trial.compiled), trial.scratch / FOLDER
    if shared.exists() or not own.is_dir() or not any(own.iterdir()):
        return
    shared.parent.mkdir(parents=True, exist_ok=True)
    draft = shared.with_name(shared.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)  # of an engine that was killed
    shutil.copytree(own, draft, symlinks=True)
    draft.rename(shared)
