"""What this process runs on, found without any package that would have to be installed first."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def processor() -> str:
    """The CPU's name, as well as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def llm_hint() -> str:
    """Why no language model writes offspring."""
    if os.environ.get("OPENAI_API_KEY"):
        return "no LLM: OPENAI_API_KEY is set; name a model with --model to have one"
    return "no LLM: set OPENAI_API_KEY (and OPENAI_BASE_URL for a server of your own) and name a --model to have one"
