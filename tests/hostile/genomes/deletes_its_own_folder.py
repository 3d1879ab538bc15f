#: all = "ok"
"""Deletes its scratch folder, the script and the folder for temporary files included."""

import os
import shutil

import toy

run = toy.start()
shutil.rmtree(os.getcwd(), ignore_errors=True)
run.finish()
