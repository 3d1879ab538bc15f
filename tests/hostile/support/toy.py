"""What hostile genomes without torch import: the report of an honest run, and the word for an attack that worked."""

import json
import os
import sys
import time

ESCAPED = 66  # exit code


def _tell(event, **values):
    os.write(int(os.environ["GPT_REPORT_FD"]), (json.dumps({"event": event, **values}) + "\n").encode())


class Run:
    """An honest run, as far as the harness sees."""

    def __init__(self):
        _tell("start", device="cpu", corpus="toy")
        _tell("open")
        self.opened = time.monotonic()

    def finish(self):
        _tell("close", training_seconds=time.monotonic() - self.opened, steps=3, tokens=96)
        _tell("result", val_bpb=2.5, parameters=7, peak_memory_mb=1.0, constants={})


def start():
    return Run()


def escaped(how):
    """The sandbox did not hold: say so and end."""
    print(f"ESCAPED: {how}", flush=True)
    os._exit(ESCAPED)


def attempt(what, attack):
    """Make an attack that must be refused with an error of the operating system."""
    try:
        result = attack()
    except OSError as error:
        print(f"{what}: {error}", flush=True)
        return
    escaped(f"{what}: {result!r}")


def bait(name):
    """Something of the host's that the test has laid out: see `Bait` in conftest.py."""
    return json.loads(os.environ["BAIT"])[name]


sys.stdout.reconfigure(line_buffering=True)
