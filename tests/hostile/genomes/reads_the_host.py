#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
#: ways = ["forked", "started"]
"""Reads the archive, the trial beside it, the user's home, the system's secrets and the folder that evolve lies in."""

import os
import pwd

import toy

run = toy.start()
for name in ("home", "archive", "neighbour"):
    toy.attempt(name, lambda: open(toy.bait(name)).read())
    toy.attempt(name, lambda: os.listdir(os.path.dirname(toy.bait(name))))
if os.path.exists("/etc/shadow"):
    toy.attempt("shadow", lambda: open("/etc/shadow").read())
home = pwd.getpwuid(os.getuid()).pw_dir
for file in (".ssh", ".bashrc", ".profile", ".netrc", ".gitconfig"):
    toy.attempt(file, lambda: os.listdir(f"{home}/{file}") if file == ".ssh" else open(f"{home}/{file}").read())
sources = os.environ["PYTHONPATH"].split(os.pathsep)[0]
toy.attempt("sources", lambda: open(f"{sources}/pyproject.toml").read())
toy.attempt("git", lambda: open(f"{sources}/.git/HEAD").read())
assert toy.bait("secret") in open(toy.bait("readable")).read()  # what it may read, it can
run.finish()
