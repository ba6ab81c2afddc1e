"""python3 -m course test: the whole suite, or what pytest's own arguments select.

With --colab it is another one: every notebook, solved, in a Python with Colab's versions (tests/anywhere/colab.py).
"""
import os

import pytest

from course import ROOT


def main(argv):
    """Run pytest at the course's root, one worker per core; returns its exit status."""
    os.chdir(ROOT)
    workers = ["-n", "auto"]
    if "--colab" in argv:  # pytest finds this file only when it is named; each notebook goes on from the one before
        argv = ["tests/anywhere/colab.py", *(word for word in argv if word != "--colab")]
        workers = ["-n", "0"]
    return int(pytest.main([*workers, *argv]))
