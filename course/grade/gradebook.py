"""nbgrader's gradebook and folders of one class. Only the coordinator touches them, one student at a time.

    FOLDER/gradebook.db          the gradebook, unless another is named
    FOLDER/grading/submitted/    what was handed in, in nbgrader's form
                   executed/     what it came to when it ran, each once
                   autograded/   the same with its scores, as Formgrader shows it
                   feedback/     a page for each student
                   reports/      of each phase: grades.csv, canvas.csv, moodle.csv, report.html
"""
import contextlib
import functools
import re
import sqlite3
import warnings

import nbformat
import nbgrader.api
from filelock import FileLock, Timeout
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from course import ROOT, build
from course.grade import intake
from course.grade.feedback import grades_of

# nbgrader 0.9 builds its rows in an order of which SQLAlchemy 2 warns, without harm.
warnings.filterwarnings("ignore", category=SAWarning, module=r"nbgrader\.api")
# It opens its database seven times for each student: with one engine, SQLAlchemy compiles every query only once.
nbgrader.api.create_engine = functools.cache(nbgrader.api.create_engine)


@event.listens_for(Engine, "connect")
def patient(connection, record):
    """Readers and one writer do not wait for each other; two writers wait in turn, up to a minute."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout=60000")
        connection.execute("PRAGMA journal_mode=WAL")


class GradebookError(Exception):
    """One sentence: what nbgrader, or its database, refuses."""


class Classroom:
    """One class: its folder, its gradebook, and nbgrader with the course's settings.

    In a `with`, nobody else is at work in the folder: GradebookError where somebody is.
    """

    def __init__(self, root, url=None):
        self.folder = root / "grading"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(self.folder / "lock", timeout=0)
        self.url = url or f"sqlite:///{root / 'gradebook.db'}"
        self.url = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", self.url)  # the driver that the course has
        config = PyFileConfigLoader(str(ROOT / "nbgrader_config.py")).load_config()
        config.CourseDirectory.update(Config({
            "root": str(root), "db_url": self.url, "source_directory": str(build.SOURCE_NOTEBOOKS),
            "release_directory": str(self.folder / "released")}))
        config.NbGraderAPI.log_level = config.Application.log_level = "ERROR"
        self.api = NbGraderAPI(config=config)

    def __enter__(self):
        try:
            self.lock.acquire()
        except Timeout:
            raise GradebookError(f"Another `course grade` is at work in {self.folder}: wait for its end.") from None
        return self

    def __exit__(self, *problem):
        self.lock.release()

    def gradebook(self):
        return Gradebook(self.url, self.api.course_id)

    def executed(self, key):
        """Where the result of the notebook with this key is kept."""
        return self.folder / "executed" / f"{key}.ipynb"

    def register(self, phase, due=None):
        """Tell the gradebook of this phase's cells and points, as the source has them now; due: a time in UTC."""
        book = build.source_notebook(phase)
        build.write(build.SOURCE_NOTEBOOKS / phase / f"{phase}.ipynb", (nbformat.writes(book) + "\n").encode("utf-8"))
        try:
            with self.gradebook() as gradebook:
                gradebook.update_or_create_assignment(phase, **({"duedate": due} if due else {}))
        except (SQLAlchemyError, ImportError, ValueError) as problem:
            shown = self.url.split("://")[0] + "://..."
            with contextlib.suppress(SQLAlchemyError):
                shown = make_url(self.url).render_as_string(hide_password=True)
            reason = str(getattr(problem, "orig", None) or problem).strip().splitlines()[0]
            raise GradebookError(f"The gradebook {shown} cannot be opened: {reason}") from None
        checked(self.api.generate_assignment(phase, force=True, create=True), f"source/{phase}")

    def take(self, phase, submission, key, force):
        """Hand one student's submission and its result to nbgrader, unless it has them already."""
        folders = [self.folder / kind / submission.student / phase for kind in ("submitted", "autograded")]
        intake.put(submission, phase, folders[0].parents[1])
        book = self.graded(phase, submission.student)
        times = [path.read_bytes() if (path := folder / "timestamp.txt").is_file() else None for folder in folders]
        if force or book is None or book.metadata.get("submission", {}).get("key") != key or times[0] != times[1]:
            checked(self.api.autograde(phase, submission.student, force=True), submission.student)

    def graded(self, phase, student):
        """The autograded notebook, or None."""
        path = self.folder / "autograded" / student / phase / f"{phase}.ipynb"
        return nbformat.v4.reads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def grades(self, gradebook, phase, student):
        """({name of the test: its Grade}, points taken off for being late, whether it was late); None if nbgrader has
        nothing of this student."""
        try:
            submission = gradebook.find_submission(phase, student)
            penalty = gradebook.find_submission_notebook(phase, phase, student).late_submission_penalty or 0.0
            return grades_of(gradebook, phase, student), penalty, submission.total_seconds_late > 0
        except MissingEntry:
            return None


def checked(outcome, what):
    """Raises GradebookError where nbgrader's API says that something failed."""
    if not outcome["success"]:
        said = (outcome.get("error") or outcome.get("log") or "").strip().splitlines()
        raise GradebookError(f"nbgrader could not take {what}: {said[-1] if said else 'no reason given'}")
