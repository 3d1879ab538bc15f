"""Which sandboxes the machine that runs the tests has."""

from __future__ import annotations

import pytest

from evolve.sandbox.probe import probe


def needs(mode: str, way: str = "started") -> list[pytest.MarkDecorator]:
    """Marks that skip a test where the machine does not have this mode, with the reason."""
    state = probe()
    why = {"bwrap": state.bwrap or (state.fork if way == "forked" else ""), "landlock": state.landlock}.get(mode, "")
    return [pytest.mark.skip(reason=f"{mode}: {why}")] if why else []
