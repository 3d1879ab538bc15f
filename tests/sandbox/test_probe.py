"""What works on a machine: found out in one that allows less, a sandbox of our own, as a container would be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from evolve.errors import UserError
from evolve.evaluation.isolation import Isolation
from evolve.sandbox import probe as probing
from evolve.sandbox.confinement import Mode
from evolve.sandbox.paths import SOURCES
from evolve.sandbox.probe import Probe, choose, describe, mend, probe
from tests.sandbox.isolated import Finished, run_isolated

from ..hostile.modes import needs

ALL = Probe(bwrap="", fork="", landlock="", seccomp="", landlock_abi=7)


def in_a_container(folder: Path, *arguments: str, path: str | None = None) -> Finished:
    """Run Python where no namespace can be made, only Landlock."""
    environment = {"PYTHONPATH": str(SOURCES)} | ({} if path is None else {"PATH": path})
    isolation = Isolation(Mode.LANDLOCK, folder, readable=(str(SOURCES),))
    return run_isolated([sys.executable, "-P", *arguments], isolation, seconds=120, environment=environment)


@pytest.fixture
def landlock() -> None:
    if reason := probe().landlock:
        pytest.skip(f"landlock: {reason}")


@pytest.mark.usefixtures("landlock")
def test_where_no_namespace_can_be_made_landlock_is_used(tmp_path: Path) -> None:
    code = "from evolve.sandbox.probe import *; print(choose('auto')); print(describe(probe().best)); choose('bwrap')"
    done = in_a_container(tmp_path, "-c", code)
    assert done.output.startswith("landlock\nlandlock (ABI "), done.output
    assert "not bwrap: " in done.output
    last = done.output.strip().splitlines()[-1]
    assert "The sandbox 'bwrap' does not work here: " in last and last.endswith("What works: landlock, none.")


@pytest.mark.usefixtures("landlock")
def test_a_missing_program_is_said_with_how_to_get_it(tmp_path: Path) -> None:
    code = "from evolve.sandbox.probe import *; print(probe().bwrap); print(mend('bwrap'))"
    done = in_a_container(tmp_path, "-c", code, path="/nowhere")
    assert done.output.splitlines() == [
        "bubblewrap is not installed",
        "Install bubblewrap (apt install bubblewrap, dnf install bubblewrap)",
    ]


def test_the_best_that_works_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {("", ""): "bwrap", ("no", ""): "landlock", ("", "no"): "bwrap", ("no", "no"): "none"}
    for (bwrap, landlock), best in cases.items():
        state = Probe(bwrap=bwrap, fork="no", landlock=landlock, seccomp="")
        monkeypatch.setattr(probing, "probe", lambda state=state: state)
        assert choose("auto") == best
        assert choose("none") is Mode.NONE
        if landlock:
            with pytest.raises(UserError, match=r"'landlock' does not work here: no\. Use Linux 6\.2"):
                choose("landlock")
    with pytest.raises(UserError, match="must be one of auto, bwrap, landlock, none"):
        choose("docker")


def test_what_is_missing_stands_in_the_first_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "probe", lambda: Probe(bwrap="", fork="denied", landlock="", seccomp="no such thing"))
    said = describe(Mode.BWRAP)
    assert "starts a fresh interpreter, because a fork cannot be confined (denied)" in said
    assert "no seccomp filter (no such thing)" in said
    monkeypatch.setattr(probing, "probe", lambda: ALL)
    assert describe(Mode.LANDLOCK) == "landlock (ABI 7): no network, only its scratch folder writable"


@pytest.mark.skipif(os.system("command -v bwrap > /dev/null") != 0, reason="bubblewrap is not installed")
@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", "bwrap-userns-restrict"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone to 1"),
        ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces"),
    ],
)
def test_what_a_system_forbids_is_told_from_its_switches(path: str, value: str, said: str) -> None:
    assert said in mend(Mode.BWRAP, {path: value})


@pytest.mark.parametrize("mode", [pytest.param(mode, marks=needs(mode, "forked")) for mode in ("bwrap", "landlock")])
def test_what_is_found_here_is_true(mode: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os; print(open('/proc/self/status').read().count('Seccomp:\\t2'), os.access('/', os.W_OK))"
    )
    isolation = Isolation(Mode(mode), tmp_path)
    for preload in ((), ("json",)):
        done = run_isolated([sys.executable, str(script)], isolation, seconds=120, preload=preload)
        assert (done.code, done.output) == (0, f"{int(not probe().seccomp)} {mode == 'landlock' and not os.getuid()}\n")
