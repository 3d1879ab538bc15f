"""The check for orphans itself: it finds whatever hides, and only what began after it."""

from __future__ import annotations

import subprocess

from tests.weather.orphans import Nursery


def test_what_detaches_itself_and_what_is_born_to_it_is_found_and_ended() -> None:
    before = subprocess.Popen(["sleep", "600"])
    try:
        with Nursery() as nursery:
            hiding = "cd / && (setsid env -i /bin/sh -c '/bin/sleep 601 & exec /bin/sleep 602' &)"
            subprocess.run(["/bin/sh", "-c", hiding], check=True)
            found = " ".join(nursery.orphans(1.0))
            assert "sleep 601" in found and "sleep 602" in found and "sleep 600" not in found
            assert nursery.orphans(0.0) == []
    finally:
        before.kill()
        before.wait()
