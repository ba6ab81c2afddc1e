"""python3 -m course lab: JupyterLab, opened at notebooks/."""
import argparse
import os
import sys

from course import ROOT
from course.setup import hand_over


def main(argv):
    """Start JupyterLab and stay until it ends; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m course lab", description="Open the notebooks in JupyterLab.")
    parser.add_argument("--no-browser", action="store_true", help="print the address instead of opening it")
    parser.add_argument("--port", type=int, default=8888, help="the next free port is taken if this one is busy (8888)")
    options = parser.parse_args(argv)
    command = [
        sys.executable, "-m", "jupyterlab",
        f"--port={options.port}",
        # The server's root is the course's root (nbgrader's Formgrader asks for that); the page opens at notebooks/.
        f"--ServerApp.root_dir={ROOT}",
        "--LabApp.default_url=/lab/tree/notebooks",
    ]
    if options.no_browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container there is often nobody else
    os.chdir(ROOT)
    return hand_over(command)
