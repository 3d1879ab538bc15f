#: all = "ok"
#: runs = 2
#: ways = ["forked", "started"]
"""Leaves a note for its next run in its home, in its folder for temporary files and in every cache it is told of."""

import os
import tempfile

import toy

run = toy.start()
places = [os.getcwd(), os.path.expanduser("~"), tempfile.gettempdir()]
places += [value for name, value in os.environ.items() if name.endswith(("_CACHE_DIR", "_HOME", "_PATH", "CONFIGDIR"))]
for place in places:
    note = os.path.join(place, "hostile-note")
    if os.path.isdir(note):
        toy.escaped(f"an earlier run left {note}")
for place in places:
    if os.access(place, os.W_OK) or place.startswith(os.getcwd()):
        os.makedirs(os.path.join(place, "hostile-note"), exist_ok=True)
run.finish()
