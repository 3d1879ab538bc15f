"""An nvidia-smi of the test's own: a program on the PATH that answers from files."""

from __future__ import annotations

from pathlib import Path

import pytest

SCRIPT = """#!/bin/sh
cd "{folder}"
case "$*" in
  *--loop=*) while :; do cat clock; sleep 0.02; done ;;
  *--query-gpu=uuid*) cat uuid ;;
  *--query-gpu=name*) cat name ;;
  *--query-compute-apps=*) cat apps ;;
  *--query-gpu=memory.used*) cat memory ;;
  *) exit 9 ;;
esac
"""


class FakeSmi:
    """Two idle GPUs at first; attributes set later are what the next call answers."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        folder.mkdir()
        program = folder / "nvidia-smi"
        program.write_text(SCRIPT.format(folder=folder))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        self.say(
            uuid="GPU-a\nGPU-b", name="NVIDIA H100 80GB HBM3", apps="", memory="4", clock="1980, 0x0000000000000000"
        )

    def say(self, **answers: str) -> None:
        for name, text in answers.items():
            draft = self._folder / f"{name}.draft"
            draft.write_text(text + "\n" if text else "")
            draft.replace(self._folder / name)


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSmi:
    return FakeSmi(tmp_path / "nvidia", monkeypatch)
