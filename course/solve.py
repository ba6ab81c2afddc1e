"""python3 -m course solve: run the notebooks with their solutions, top to bottom, in real kernels.

Executed notebooks and HTML pages go to build/solved/. The work carried from notebook to notebook goes to
build/solved/tiny_llm/, so a learner's own tiny_llm/ is never touched.
"""
import argparse
import os
import re
import shutil
import sys
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from course import NOTEBOOKS, ROOT
from course.build import source_notebook

SOLVED = ROOT / "build" / "solved"
MARKER = re.compile(r"^ *### (BEGIN|END) (SOLUTION|HIDDEN TESTS).*\n?", re.MULTILINE)


def main(argv):
    """Solve the phases named, or all; returns 0, or 1 at the first cell that fails."""
    parser = argparse.ArgumentParser(prog="python3 -m course solve", description="Run the solved notebooks.")
    parser.add_argument("phases", nargs="*", metavar="PHASE", help="for example 3b_attention (all)")
    parser.add_argument("--fast", action="store_true", help="shorten the training, nothing else")
    options = parser.parse_args(argv)
    unknown = [phase for phase in options.phases if phase not in NOTEBOOKS]
    if unknown:
        parser.error(f"no phase is called {unknown[0]!r}; there are {', '.join(NOTEBOOKS)}")
    # A finished run would not be run again.
    shutil.rmtree(SOLVED / "tiny_llm" / "run" if options.phases else SOLVED / "tiny_llm", ignore_errors=True)
    SOLVED.mkdir(parents=True, exist_ok=True)
    os.environ["TINYLLM_PARTS"] = str(SOLVED / "tiny_llm")
    if options.fast:
        os.environ["TINYLLM_FAST"] = "1"
    for phase in options.phases or NOTEBOOKS:
        print(f"{phase} ... ", end="", flush=True)
        started = time.perf_counter()
        try:
            notebook = execute(answered(phase), phase)
        except CellExecutionError as failure:
            print("failed")
            print(failure, file=sys.stderr)
            return 1
        write(notebook, phase)
        print(f"{time.perf_counter() - started:.0f} s", flush=True)
    print(f"The solved notebooks are in {SOLVED.relative_to(ROOT)}/ (.ipynb and .html).")
    return 0


def answered(phase, budget=None):
    """The phase's notebook with its solutions in place, as a learner might have written them; not run.

    budget: a time such as "4s" for the training of 5_training, of a small model
    """
    notebook = source_notebook(phase)
    for cell in notebook.cells:
        cell.source = MARKER.sub("", cell.source).rstrip("\n")
        if budget and cell.cell_type == "code":
            cell.source = cell.source.replace("training.preset()", f'training.preset("quick", budget="{budget}")')
    return notebook


def execute(notebook, phase, allow_errors=False):
    """Run every cell in a fresh kernel that stands in the phase's own folder, as JupyterLab does.

    Returns the notebook with its outputs. Raises nbclient's CellExecutionError at the first cell that fails,
    unless `allow_errors`.
    """
    folder = ROOT / "notebooks" / phase
    folder.mkdir(parents=True, exist_ok=True)
    client = NotebookClient(
        notebook, timeout=1200, kernel_name="python3", allow_errors=allow_errors, record_timing=False,
        resources={"metadata": {"path": str(folder)}}, shutdown_kernel="immediate",
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors only: its warnings would land in the progress lines
    )
    return client.execute()


def write(notebook, phase):
    """The executed notebook and its page, into build/solved/."""
    nbformat.write(notebook, SOLVED / f"{phase}.ipynb")
    page, _ = HTMLExporter().from_notebook_node(notebook)
    (SOLVED / f"{phase}.html").write_text(page, encoding="utf-8")
