"""The file in which a running trial shows where it stands, for the live screen and for racing."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "heartbeat"


@dataclass(frozen=True)
class Heartbeat:
    """Times are Unix seconds; `elapsed` is seconds of the box, 0 before it opens."""

    phase: str  # startup, training, scoring
    started: float
    opened: float | None
    elapsed: float
    progress: float  # 0..1, of the last reported point
    loss: float | None  # of that point; None before it, or where it was not finite
    curve: list[tuple[float, float]]  # (progress, loss) so far
    pid: int  # of the genome's process


def write(folder: Path, heartbeat: Heartbeat) -> None:
    """Replace the heartbeat at once, so that a reader never sees half of one."""
    draft = folder / f"{NAME}.draft"
    # A genome may remove the folder or fill the disk; a heartbeat is not worth a trial.
    with contextlib.suppress(OSError):
        draft.write_text(json.dumps(asdict(heartbeat)), encoding="utf-8")
        draft.replace(folder / NAME)


def read(folder: str | os.PathLike[str]) -> Heartbeat | None:
    """The last heartbeat of the trial that runs in `folder`; None before its first and after its end."""
    # A genome may have removed the file, or written one of its own: then there is nothing to show.
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        values = json.loads((Path(folder) / NAME).read_text(encoding="utf-8"))
        return Heartbeat(**{**values, "curve": [(p, loss) for p, loss in values["curve"]]})
    return None
