"""A coding agent for the tests: `fake_agent.py BEHAVIOUR [PROMPT_FILE]` in a checkout of the toy genome."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = Path("train.py")
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def edit() -> None:
    """A change that no earlier one made."""
    SCRIPT.write_text(SCRIPT.read_text() + f"\nEDITED = {time.time_ns()}\n")


def main(behaviour: str, prompt: str) -> int:
    if behaviour == "edits":
        assert "## The script" in prompt and SCRIPT.read_text() in prompt
        edit()
        print("I looked around.\n\nI \x1b[1mthought\x1b[0m about it.\n")
        print("Idea: Say when it was edited.\nExpected: -0.001\n")
    elif behaviour == "edits more":
        edit()
        Path("individual.json").write_text("{}")
        Path("notes.txt").write_text("mine")
        Path("cache").mkdir()
        print("Done, and I left notes.")
    elif behaviour == "commits":
        edit()
        subprocess.run(["git", "commit", "-qam", "My work"], check=True)
        ancestors = subprocess.run(["git", "log", "--format=%s"], capture_output=True, text=True, check=True).stdout
        assert "The seed genome of toy" in ancestors
    elif behaviour == "nothing":
        print("All is well as it is.")
    elif behaviour == "comments":
        SCRIPT.write_text(SCRIPT.read_text() + "\n\n# All is well.\n")
    elif behaviour == "breaks":
        SCRIPT.write_text("def (:\n")
    elif behaviour == "deletes":
        SCRIPT.unlink()
    elif behaviour == "links":
        SCRIPT.unlink()
        SCRIPT.symlink_to("/dev/zero")
    elif behaviour == "fails":
        print("no such key", file=sys.stderr)
        return 3
    elif behaviour == "garbage":
        edit()
        chunk = os.urandom(65536)
        for _ in range(100):
            os.write(1, chunk)
            os.write(2, chunk)
    elif behaviour == "edits and sleeps":
        edit()
        time.sleep(600)
    elif behaviour == "sleeps":
        pids = [subprocess.Popen(SLEEP, start_new_session=new).pid for new in (False, True)]
        Path(os.environ["FAKE_AGENT_PIDS"]).write_text(f"{os.getpid()} {pids[0]} {pids[1]}")
        time.sleep(600)
    elif behaviour == "leaves one behind":
        edit()
        left = subprocess.Popen(SLEEP, start_new_session=True)
        Path(os.environ["FAKE_AGENT_PIDS"]).write_text(str(left.pid))
    return 0


if __name__ == "__main__":
    text = Path(sys.argv[2]).read_text() if len(sys.argv) > 2 else sys.stdin.read()
    sys.exit(main(sys.argv[1], text))
