"""`bench grade`: a class of solved notebooks, through `course grade` and through nbgrader's own `autograde`.

One JSON object per run. Each run is a command of its own on the same submissions, started one after the other, and its
grades are read back from its gradebook: a run that does not give everybody all points is told, and fails.
"""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from course import PHASES, ROOT, setup


def add_to(commands):
    """The command's arguments."""
    parser = commands.add_parser("grade", help="grading a class: speed beside nbgrader's own, memory over time")
    parser.add_argument("--phase", choices=PHASES, default="2_modules", help="%(default)s")
    parser.add_argument("--students", type=int, default=20, help="each with a notebook of their own (%(default)s)")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="a run for each number (1 2)")
    parser.add_argument("--waits", type=float, default=0, metavar="SECONDS",
                        help="let each answer wait as well: what more workers bring where cores are not short")
    parser.add_argument("--slow", action="store_true", help="without --fast")
    parser.add_argument("--no-stock", action="store_true", help="without nbgrader's own autograde")
    parser.set_defaults(run=run, parser=parser)


def run(options):
    """Print one line per run; returns 0, or 1 when a run went wrong."""
    if min([options.students, *options.workers]) < 1:
        options.parser.error("--students and --workers should be at least 1")
    numbers = [] if options.no_stock else [0]
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        for number in numbers + options.workers:
            kind = ours if number else stock
            found = kind(Path(folder) / f"class-{number}", options, number)
            print(json.dumps({**found, "cores": os.cpu_count()}), flush=True)
            if found["all_points"] != options.students:
                log = (Path(folder) / f"class-{number}" / "log").read_text(encoding="utf-8")
                print(f"{found['all_points']} of {options.students} got all points.", log[-3000:], sep="\n",
                      file=sys.stderr)
                return 1
    return 0


def ours(folder, options, workers):
    """`course grade` into a class whose gradebook is there already, as in every week but the first."""
    from course.grade.gradebook import Classroom

    phase, fast = options.phase, not options.slow
    for student, body in solved(phase, options.students, options.waits):
        put(folder / "submissions" / student / f"{phase}.ipynb", body)
    with Classroom(folder / "class") as classroom:
        classroom.register(phase)
    command = ["-m", "course", "grade", phase, str(folder / "submissions"), "--into", str(folder / "class"),
               "--workers", str(workers), *(["--fast"] if fast else [])]
    return {"what": "course grade" + " --fast" * fast, "workers": workers,
            **measured(command, folder, options, classroom.url)}


def stock(folder, options, workers):
    """nbgrader as it is installed: its own settings, its own process, the same notebooks."""
    from course import build

    phase = options.phase
    for student, body in solved(phase, options.students, options.waits):
        put(folder / "submitted" / student / phase / f"{phase}.ipynb", body)
    import nbformat
    put(folder / "source" / phase / f"{phase}.ipynb", nbformat.writes(build.source_notebook(phase)))
    subprocess.run([sys.executable, "-m", "nbgrader", "generate_assignment", phase], cwd=folder, check=True,
                   env=setup.environment(), capture_output=True)
    return {"what": "nbgrader autograde", "workers": 1, **measured(
        ["-m", "nbgrader", "autograde", phase], folder, options, f"sqlite:///{folder}/gradebook.db")}


def solved(phase, students, waits=0):
    """(student, text of a notebook): all right, each with a line of its own, so that no result serves for two.

    waits: seconds that each answer sleeps
    """
    import nbformat

    from course import build
    from course.stubs import clear

    book = nbformat.read(build.notebook_path(phase), as_version=4)
    solutions = {cell.id: cell.source for cell in build.source_notebook(phase).cells}
    wait = f"\n__import__('time').sleep({waits})" if waits else ""
    for number in range(students):
        for cell in book.cells:
            if cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = clear(solutions[cell.id], keep=range(1, 32)) + f"\n# student {number}" + wait
        yield f"student-{number:03}", nbformat.writes(book)


def put(path, text):
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


def measured(command, folder, options, gradebook):
    """Run a Python command to its end: its time, what it has in memory meanwhile, and how many got all points."""
    from nbgrader.api import Gradebook

    students = options.students
    started = time.perf_counter()
    with open(folder / "log", "w", encoding="utf-8") as log:
        process = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=log, stderr=log,
                                   env={**setup.environment(), "PYTHONPATH": str(ROOT)})
    memory, first = [], None  # when the first student is done: the next one's folder is there
    while process.poll() is None:
        if first is None and sum(1 for _ in folder.glob("**/autograded/*")) > 1:
            first = time.perf_counter() - started
        memory.append([round(time.perf_counter() - started), *memory_mb(process.pid)])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5 if first is None else 3)  # to look takes time itself
    wall = time.perf_counter() - started
    with Gradebook(gradebook) as book:
        right = sum(s.score == s.max_score > 0 for s in book.assignment_submissions(options.phase))
    step = max(1, len(memory) // 20)
    found = {"phase": options.phase, "students": students, "waits_s": options.waits, "wall_s": round(wall, 1),
             "all_points": right, "students_per_min": round(60 * students / wall, 1)}
    if first:
        found |= {"first_s": round(first, 1), "per_min_then": round(60 * (students - 1) / (wall - first), 1)}
    return {**found, "memory_mb": {"columns": ["second", "coordinator", "the others together"], "rows": memory[::step]}}


def memory_mb(pid):
    """(of the command itself, of all processes below it together), each with its share of what is shared."""
    import psutil

    sizes = []
    try:
        first = psutil.Process(pid)
        for process in [first, *first.children(recursive=True)]:
            try:
                sizes.append(process.memory_full_info().pss)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                pass  # it has just ended
    except psutil.NoSuchProcess:
        return 0, 0
    return round(sizes[0] / 1e6) if sizes else 0, round(sum(sizes[1:]) / 1e6)
