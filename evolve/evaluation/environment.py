"""The environment of a genome: built from a short list of harmless names, never by removing secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from evolve.evaluation import compile_cache
from evolve.evaluation.executors import Slot
from evolve.evaluation.job import REPORT_FD
from evolve.evaluation.trial import Trial
from evolve.sandbox.confinement import Mode
from evolve.sandbox.paths import SOURCES

INHERITED = (
    *("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TZ", "LANG", "LANGUAGE"),
    *("LC_ALL", "LC_CTYPE", "LC_COLLATE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME"),
)
# Where libraries keep what is to outlive a process; a genome's ends with its trial. Folders below its scratch folder.
CACHES = {
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "TORCHINDUCTOR_CACHE_DIR": "cache/inductor",
    "TRITON_CACHE_DIR": "cache/triton",
    "TRITON_HOME": "cache/triton",
    "TORCH_EXTENSIONS_DIR": "cache/extensions",
    "TORCH_HOME": "cache/torch",
    "CUDA_CACHE_PATH": "cache/cuda",
    "HF_HOME": "cache/huggingface",
    "NUMBA_CACHE_DIR": "cache/numba",
    "MPLCONFIGDIR": "cache/matplotlib",
}


def parent_environment(slot: Slot, variables: Mapping[str, str]) -> dict[str, str]:
    """What a warm parent starts with. Its forks show it in /proc/self/environ: nothing else may be in it.

    `variables`: the arena's own, say. Processes with the same ones (and cores) can share a parent.
    """
    threads = str(len(slot.cores))
    return {
        **_inherited(os.environ),
        "PYTHONPATH": _python_path(os.environ.get("PYTHONPATH", "")),
        "PYTHONHASHSEED": "0",  # the same order of sets in every evaluation of a genome
        # OpenMP reads this once, when it is loaded: in the warm parent.
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": "1",  # it would start its threads when imported, and lose them in a fork
        **variables,
    }


def process_environment(
    slot: Slot, variables: Mapping[str, str], scratch: Path, device: str, sandbox: Mode
) -> dict[str, str]:
    """The same with a scratch folder as home, for its temporary files and for every cache, and with its GPU."""
    environment = {
        **parent_environment(slot, variables),
        "HOME": str(scratch),
        "TMPDIR": str(scratch / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",  # what it imports is not its own to write beside
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        **{name: str(scratch / folder) for name, folder in CACHES.items()},
    }
    if sandbox is Mode.LANDLOCK:
        # Its pool of compilers needs locks in /dev/shm, which Landlock cannot give.
        environment.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    elif slot.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = slot.gpu
    elif "CUDA_VISIBLE_DEVICES" in os.environ:
        environment["CUDA_VISIBLE_DEVICES"] = os.environ["CUDA_VISIBLE_DEVICES"]
    return environment


def genome_environment(trial: Trial, slot: Slot) -> dict[str, str]:
    """What a genome sees: that, and the harness's own variables."""
    environment = {
        **process_environment(slot, trial.environment, trial.scratch, trial.device, Mode(trial.sandbox)),
        "GPT_SEED": str(trial.seed),
        "GPT_BOX": str(trial.time_box),
        "GPT_DEVICE": trial.device,
        "GPT_THREADS": str(len(slot.cores)),
        "GPT_SPLITS": ",".join(trial.splits),
        **compile_cache.variables(trial),
    }
    if trial.score == "harness":
        environment["GPT_REPORT_FD"] = str(REPORT_FD)
    return environment


def _inherited(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in INHERITED if name in environ}


def _python_path(inherited: str) -> str:
    """The sources first; then the user's own entries, absolute because a genome runs in another folder."""
    entries = [SOURCES, *(Path(entry).absolute() for entry in inherited.split(os.pathsep) if entry)]
    return os.pathsep.join(dict.fromkeys(map(str, entries)))
