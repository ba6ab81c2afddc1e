"""The command itself: who is to be graded, what has to run, and what comes out. It alone touches the gradebook."""
import argparse
import contextlib
import datetime
import itertools
import os
import signal
import sys
from pathlib import Path

from tqdm import tqdm

from course import PHASES, ROOT
from course.build import write
from course.grade import intake, sandbox
from course.grade.execute import Limits
from course.grade.gradebook import Classroom, GradebookError
from course.grade.report import report
from course.grade.steps import key_of, to_run, transplanted
from course.grade.workers import ClusterError, WorkerError, run_all


def main(argv):
    """Grade; returns 0, or 1 when somebody who should have a grade has none."""
    options = arguments(argv)
    sys.stdout.reconfigure(errors="backslashreplace")  # a student's name may hold what this console cannot show
    limits = Limits(seconds=options.seconds, cell_seconds=options.cell_seconds, unsafe=options.unsafe,
                    fast=options.fast and not options.unsafe)
    try:
        if options.unsafe:
            print("Without a sandbox: what these submissions do, they do with your rights.", file=sys.stderr)
        elif not options.scheduler:
            sandbox.require()
        submissions = intake.collect(options.submissions, options.phase)
        chosen = [s for s in submissions if options.student in (None, s.student, s.name)]
        if not chosen:
            raise intake.IntakeError(f"{options.submissions} holds nothing of a student {options.student!r}.")
        with Classroom(Path(options.into).resolve(), options.db) as classroom:
            classroom.register(options.phase, options.due)
            failures = grade(classroom, options, chosen, limits)
            print(report(classroom, options.phase, submissions, failures))
    except (intake.IntakeError, sandbox.SandboxError, ClusterError, GradebookError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 1 if failures else 0


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
    parser.add_argument("--due", type=moment, metavar="'2026-12-01 23:59'",
                        help="when it was due, in this machine's time zone")
    parser.add_argument("--into", metavar="FOLDER", default=str(ROOT),
                        help="the class' folder (%(default)s)")
    parser.add_argument("--db", metavar="URL", help="another gradebook: postgresql://user@host/name")
    parser.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="run on a Dask cluster")
    options = parser.parse_args(argv)
    if min(options.workers, options.seconds, options.cell_seconds) < 1:
        parser.error("--workers, --seconds and --cell-seconds must be at least 1")
    return options


def moment(text):
    """A time as it is written here -> UTC, as nbgrader keeps it."""
    try:
        return datetime.datetime.fromisoformat(text).astimezone(datetime.timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: write it like '2026-12-01 23:59'") from None


def grade(classroom, options, submissions, limits):
    """Run what has not been run, and hand each result to nbgrader as it comes -> {student: why there is no grade}.

    One submission's failure is a line in the report; the others go on.
    """
    notebooks, students, failures = {}, {}, {}  # by key: what has to run; whose it is. Equal notebooks run once.
    for submission in submissions:
        if submission.cells is None:
            continue
        try:
            raw = to_run(transplanted(intake.book_of(submission), options.phase))
        except Exception as problem:  # a stranger's notebook may hold anything
            failures[submission.student] = why(problem)
            continue
        notebooks[key_of(raw)] = raw
        students.setdefault(key_of(raw), []).append(submission)
    done = [key for key in notebooks if classroom.executed(key).is_file() and not options.regrade]
    for key in done:
        del notebooks[key]
    with tqdm(total=sum(map(len, students.values())), desc=options.phase, unit="student", disable=None) as bar:
        for key, ran in itertools.chain(((key, None) for key in done), run_all(notebooks, limits, options)):
            if isinstance(ran, bytes):
                write(classroom.executed(key), ran)
            for submission in students[key]:
                if isinstance(ran, Exception):
                    failures[submission.student] = why(ran)
                else:
                    with uninterrupted():
                        try:
                            classroom.take(options.phase, submission, key, force=ran is not None)
                        except Exception as problem:
                            failures[submission.student] = why(problem)
                bar.update()
    return failures


def why(problem):
    """An exception in one line."""
    told = " ".join(str(problem).split())[:500]
    return told if isinstance(problem, (GradebookError, WorkerError)) else f"{type(problem).__name__}: {told}"


@contextlib.contextmanager
def uninterrupted():
    """Ctrl-C waits until this is done: nbgrader would take it for a failure of the student at hand."""
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
