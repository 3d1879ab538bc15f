"""What the harness tells whoever started the genome: a JSON object a line, on a pipe."""

from __future__ import annotations

import json
import os
from typing import Any


class Report:
    """Writes events to an open pipe, or nowhere when the genome is run by hand."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @property
    def connected(self) -> bool:
        return self._descriptor is not None

    def send(self, event: str, **values: Any) -> None:
        """Write one event. Raises BrokenPipeError where nobody reads any more: such a run has no purpose."""
        if self._descriptor is None:
            return
        line = json.dumps({"event": event, **values}, allow_nan=False) + "\n"
        data = line.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]
