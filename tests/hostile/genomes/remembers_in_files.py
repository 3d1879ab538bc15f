#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
#: runs = 2
#: ways = ["forked", "started"]
"""Leaves a note for its next run wherever a file can be written, whatever its environment says."""

import contextlib
import os
import pwd
import sys
import sysconfig

import toy

run = toy.start()
places = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/", "..", "../..", sys.prefix, sysconfig.get_path("purelib")]
places += [pwd.getpwuid(os.getuid()).pw_dir, os.path.dirname(toy.__file__), os.path.dirname(toy.bait("readable"))]
notes = [os.path.join(place, "hostile-note") for place in places]
for note in notes:
    if os.path.exists(note):
        toy.escaped(f"an earlier run left {note}")
for note in notes:
    with contextlib.suppress(OSError):
        os.close(os.open(note, os.O_CREAT | os.O_WRONLY))
run.finish()
