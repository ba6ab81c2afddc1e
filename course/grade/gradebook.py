"""nbgrader's gradebook and folders of one class. Only the coordinator touches them, one student at a time.

    FOLDER/gradebook.db          the gradebook, unless another is named
    FOLDER/grading/submitted/    what was handed in, in nbgrader's form
                   executed/     what it came to when it ran, each once
                   autograded/   the same with its scores, as Formgrader shows it
                   feedback/     a page for each student
                   reports/      grades.csv and report.html of each phase
"""
import datetime
import sqlite3
import warnings

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SAWarning
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from course import ROOT, build
from course.grade.feedback import grades_of
from course.grade.intake import IntakeError

# nbgrader 0.9 builds its rows in an order of which SQLAlchemy 2 warns, without harm.
warnings.filterwarnings("ignore", category=SAWarning, module=r"nbgrader\.api")


@event.listens_for(Engine, "connect")
def patient(connection, record):
    """Readers and one writer do not wait for each other; two writers wait in turn, up to a minute."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout=60000")
        connection.execute("PRAGMA journal_mode=WAL")


class Classroom:
    """One class: its folder, its gradebook, and nbgrader with the course's settings."""

    def __init__(self, root, url=None):
        self.folder = root / "grading"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.url = url or f"sqlite:///{root / 'gradebook.db'}"
        config = PyFileConfigLoader(str(ROOT / "nbgrader_config.py")).load_config()
        config.CourseDirectory.update(Config({
            "root": str(root), "db_url": self.url, "source_directory": str(build.SOURCE_NOTEBOOKS),
            "release_directory": str(self.folder / "released")}))
        config.NbGraderAPI.log_level = config.Application.log_level = "ERROR"
        self.api = NbGraderAPI(config=config)

    def gradebook(self):
        return Gradebook(self.url, self.api.course_id)

    def executed(self, key):
        """Where the result of the notebook with this key is kept."""
        return self.folder / "executed" / f"{key}.ipynb"

    def register(self, phase, due=None):
        """Tell the gradebook of this phase's cells and points, as the source has them now."""
        book = build.source_notebook(phase)
        build.write(build.SOURCE_NOTEBOOKS / phase / f"{phase}.ipynb", (nbformat.writes(book) + "\n").encode("utf-8"))
        with self.gradebook() as gradebook:
            gradebook.update_or_create_assignment(phase)
        outcome = self.api.generate_assignment(phase, force=True, create=True)
        if not outcome["success"]:
            raise IntakeError(f"nbgrader refuses source/{phase}: {outcome.get('log') or outcome.get('error')}")
        if due:
            try:
                when = datetime.datetime.fromisoformat(due).astimezone(datetime.timezone.utc).replace(tzinfo=None)
            except ValueError:
                raise IntakeError(f"--due {due!r} is not a time: write it like '2026-12-01 23:59'.") from None
            with self.gradebook() as gradebook:
                gradebook.update_or_create_assignment(phase, duedate=when)

    def autograde(self, phase, student, key, force):
        """nbgrader's autograde for one student, unless it was done with this very result."""
        graded = self.graded(phase, student)
        if not force and graded is not None and graded.metadata.get("submission", {}).get("key") == key:
            return
        outcome = self.api.autograde(phase, student, force=True)
        if not outcome["success"]:
            raise IntakeError(f"nbgrader could not grade {student}: {outcome.get('log') or outcome.get('error')}")

    def graded(self, phase, student):
        """The autograded notebook, or None."""
        path = self.folder / "autograded" / student / phase / f"{phase}.ipynb"
        return nbformat.read(path, as_version=4) if path.is_file() else None

    def grades(self, phase, student):
        """{name of the test: (score, the most there is)}; None if nbgrader has nothing of this student."""
        with self.gradebook() as gradebook:
            try:
                return grades_of(gradebook, phase, student)
            except MissingEntry:
                return None

    def late(self, phase, student):
        """Seconds after the due time."""
        with self.gradebook() as gradebook:
            try:
                return gradebook.find_submission(phase, student).total_seconds_late
            except MissingEntry:
                return 0
