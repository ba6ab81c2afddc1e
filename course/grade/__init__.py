"""python3 -m course grade PHASE SUBMISSIONS: from what a class handed in to grades.csv, a page for each student and a
report.

    intake.py      one notebook and one status for each student, whatever was handed in
    transplant.py  the student's answers, on the notebook as it was released
    execute.py     bytes of a notebook -> bytes of the notebook with its outputs; pure, so any Executor can run it
    sandbox.py     the kernel it runs in; kernel.py is what is inside; watch.py looks for replaced functions
    steps.py       the same steps for nbgrader's own `autograde`, and strict scoring
    feedback.py    a page for each student;  report.py  grades.csv, report.html, and the forms of Canvas and Moodle
    gradebook.py   nbgrader's gradebook

Everything of one class lies in one folder (the course's, or --into). A run that was stopped goes on where it was.
"""
import argparse
import concurrent.futures
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import nbformat
from tqdm import tqdm

from course import PHASES, ROOT
from course.build import write
from course.grade import intake, sandbox
from course.grade.execute import Limits, execute
from course.grade.gradebook import Classroom
from course.grade.report import report
from course.grade.steps import key_of, to_run, transplanted


def main(argv):
    """Grade; returns 0, or 1 when nothing could be graded."""
    options = arguments(argv)
    limits = Limits(seconds=options.seconds, cell_seconds=options.cell_seconds, unsafe=options.unsafe,
                    fast=options.fast and not options.unsafe)
    try:
        if options.unsafe:
            print("Without a sandbox: what these submissions do, they do with your rights.", file=sys.stderr)
        elif not options.scheduler:
            sandbox.require()
        submissions = intake.collect(options.submissions, options.phase)
        if options.student:
            submissions = [s for s in submissions if options.student in (s.student, s.name)]
            if not submissions:
                raise intake.IntakeError(f"{options.submissions} holds nothing of a student {options.student!r}.")
        classroom = Classroom(Path(options.into).resolve(), options.db)
        classroom.register(options.phase, options.due)
        grade(classroom, options, submissions, limits)
    except (intake.IntakeError, sandbox.SandboxError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python3 -m course grade", description="Grade what a class handed in.")
    parser.add_argument("phase", choices=PHASES, metavar="PHASE", help=", ".join(PHASES))
    parser.add_argument("submissions", metavar="SUBMISSIONS",
                        help="a folder or zip: a folder or a notebook per student")
    parser.add_argument("--student", help="only this one")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="how many at a time (%(default)s)")
    parser.add_argument("--regrade", action="store_true", help="run again what was run before")
    parser.add_argument("--fast", action="store_true", help="fork kernels from a process that has PyTorch loaded")
    parser.add_argument("--unsafe", action="store_true", help="without a sandbox: only for code you trust")
    parser.add_argument("--seconds", type=int, default=Limits.seconds, help="for one submission (%(default)s)")
    parser.add_argument("--cell-seconds", type=int, default=Limits.cell_seconds, help="for one cell (%(default)s)")
    parser.add_argument("--due", metavar="'2026-12-01 23:59'", help="when it was due, in this machine's time zone")
    parser.add_argument("--into", metavar="FOLDER", default=str(ROOT),
                        help="the class' folder (%(default)s)")
    parser.add_argument("--db", metavar="URL", help="another gradebook: postgresql+psycopg://user@host/name")
    parser.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="run on a Dask cluster")
    options = parser.parse_args(argv)
    if min(options.workers, options.seconds, options.cell_seconds) < 1:
        parser.error("--workers, --seconds and --cell-seconds must be at least 1")
    return options


def grade(classroom, options, submissions, limits):
    """Run what has not been run, then hand everything to nbgrader, student by student."""
    phase = options.phase
    ready = {s.student: s for s in submissions if s.cells is not None}
    notebooks = {student: to_run(transplanted(book_of(s), phase)) for student, s in ready.items()}
    waiting = {}
    for student, raw in notebooks.items():
        done = classroom.executed(key_of(raw))
        if options.regrade or not done.is_file():
            waiting[student] = raw
    with tqdm(total=len(notebooks), initial=len(notebooks) - len(waiting), desc=phase, unit="notebook",
              disable=None) as bar:
        for student, ran in run_all(waiting, limits, options):
            write(classroom.executed(key_of(waiting[student])), ran)
            bar.update()
    for student, submission in ready.items():
        intake.put(submission, phase, classroom.folder / "submitted")
        classroom.autograde(phase, student, key_of(notebooks[student]), force=options.regrade or student in waiting)
    table = report(classroom, phase, submissions)
    print(table)


def book_of(submission):
    """The submission as a notebook node."""
    return nbformat.from_dict({"cells": [
        {"cell_type": c["type"], "source": c["source"], "id": c["id"],
         "metadata": {"nbgrader": {"grade_id": c["grade_id"]}}}
        for c in submission.cells]})


def run_all(notebooks, limits, options):
    """Yield (student, bytes of the notebook that ran), in the order in which they are done."""
    left, lost = dict(notebooks), {}
    while left:
        with executor(options) as pool:
            tasks = {pool.submit(execute, raw, limits): student for student, raw in left.items()}
            try:
                for task in concurrent.futures.as_completed(tasks):
                    ran = task.result()
                    del left[tasks[task]]
                    yield tasks[task], ran
            except concurrent.futures.process.BrokenProcessPool:
                # A worker was ended from outside, as where memory runs out. The rest goes on in new ones.
                for student in left:
                    lost[student] = lost.get(student, 0) + 1
                if max(lost.values()) > 3:
                    raise
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in multiprocessing.active_children():
                    worker.terminate()
                raise


def executor(options):
    """Processes on this machine, or a Dask cluster."""
    if options.scheduler:
        from distributed import Client
        return Client(options.scheduler).get_executor(pure=False)
    return concurrent.futures.ProcessPoolExecutor(
        options.workers, multiprocessing.get_context("spawn"), initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL))


__all__ = ["execute", "main"]
