#: all = "ok"
#: runs = 2
#: ways = ["forked", "started"]
"""Writes modules named like standard ones beside itself, and starts an interpreter there that imports them."""

import subprocess
import sys

import toy

run = toy.start()
for name in ("json", "os", "site", "sitecustomize", "gpt", "random"):
    with open(f"{name}.py", "w") as file:
        file.write("print('mine')\n")
subprocess.run([sys.executable, "-c", "import random, json"], check=False)
run.finish()
