"""What the class handed in, whatever its form: one notebook and one status for each student.

SUBMISSIONS is a folder with a folder for each student, or with a notebook for each, or a zip of one of these as an LMS
gives it. Only .ipynb files are read, no link is followed, and nothing in SUBMISSIONS is changed. A notebook is
recognised by its cells, whatever its name.
"""
import dataclasses
import datetime
import json
import re
import stat
import unicodedata
import zipfile
from pathlib import Path, PurePosixPath

import nbformat

from course import PHASES
from course.answers import kind, names_of, plain
from course.build import source_notebook, write
from course.stubs import clear

LARGEST = 20 * 2**20  # bytes of one notebook; pictures in its outputs may be many
LONGEST = 2_000_000  # characters of code and text in one notebook; the course's longest has 60,000
MOST = 100  # notebooks looked at for one student
NOBODYS = {"desktop.ini", "thumbs.db"}  # files that no student hands in
# Canvas: lovelaceada_LATE_12345_67890_any name; Moodle: Ada Lovelace_12345_assignsubmission_file_ (a folder, or a file)
CANVAS = re.compile(r"(?P<name>[^_]+?)(?P<late>_LATE)?_(?P<lms>\d+)_\d+_.*", re.DOTALL)
MOODLE = re.compile(r"(?P<name>.+)(?P<late>)_(?P<lms>\d+)_assignsubmission_.*", re.DOTALL)


LINK = "is a link"
LOCKED = "cannot be opened: you have no right to read it here"
NEVER = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


@dataclasses.dataclass
class Submission:
    """One student's, with its status: ready, several (ready too), unreadable or missing."""
    student: str  # the id in the gradebook and in file names
    name: str  # as it was written in SUBMISSIONS
    status: str = "missing"
    why: str = ""
    time: datetime.datetime | None = None
    late: bool = False  # the LMS said so
    lms: str = ""  # the student's number in the LMS
    cells: list | None = None


@dataclasses.dataclass
class File:
    """A file that was handed in: `read()` gives its bytes, or `problem` says why it is not read."""
    name: str
    time: datetime.datetime
    read: object
    problem: str = ""


class IntakeError(Exception):
    """One sentence: what is wrong with SUBMISSIONS."""


def collect(submissions, phase):
    """Every student's Submission, in the order of their names."""
    path = Path(submissions)
    if path.is_dir():
        files = in_folder(path)
    elif zipfile.is_zipfile(path):
        try:
            files = in_zip(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            raise IntakeError(f"{path} is a damaged zip: fetch it again.") from None
    elif path.exists() and path.suffix.lower() == ".zip":
        raise IntakeError(f"{path} is a damaged zip: fetch it again.")
    elif path.exists():
        raise IntakeError(f"{path} is neither a folder nor a zip: name the folder with the submissions.")
    else:
        raise IntakeError(f"There is no {path}: name the folder, or the zip, with the submissions.")
    found = [choose(Submission("", printable(name), late=late, lms=lms), some, phase)
             for (name, lms), (late, some) in sorted(by_student(files, phase).items())]
    if not found:
        raise IntakeError(f"{path} holds no submissions: it needs a folder or a notebook for each student.")
    return with_ids(found)


def in_folder(folder):
    """[(path below the folder, File)]; links are named, not followed."""
    files = []
    for path in sorted(folder.rglob("*")):
        below = PurePosixPath(*path.relative_to(folder).parts)
        try:
            state = path.lstat()
            if stat.S_ISDIR(state.st_mode):
                next(path.iterdir(), None)
        except PermissionError:  # of the file, or of the folder that it lies in
            files.append((below, File(path.name, NEVER, None, LOCKED)))
            continue
        time = moment(datetime.datetime.fromtimestamp, state.st_mtime, datetime.timezone.utc)
        if stat.S_ISLNK(state.st_mode):
            files.append((below, File(path.name, time, None, LINK)))
        elif stat.S_ISDIR(state.st_mode):
            files.append((below / ".", None))
        elif not stat.S_ISREG(state.st_mode):
            files.append((below, File(path.name, time, None, "is not a file")))
        elif state.st_size > LARGEST:
            files.append((below, File(path.name, time, None, too_large(state.st_size))))
        else:
            files.append((below, File(path.name, time, path.read_bytes)))
    return files


def in_zip(path):
    """The same from a zip; nothing is unpacked to the disk."""
    files = []
    archive = zipfile.ZipFile(path)
    for entry in archive.infolist():
        below = PurePosixPath(entry.filename.replace("\\", "/"))
        if below.is_absolute() or ".." in below.parts or not below.parts:
            continue  # no LMS makes such a name
        if entry.is_dir():
            files.append((below / ".", None))
            continue
        time = moment(datetime.datetime, *entry.date_time)
        problem = ""
        if stat.S_ISLNK(entry.external_attr >> 16):
            problem = LINK
        elif entry.file_size > LARGEST:
            problem = too_large(entry.file_size)
        elif entry.flag_bits & 1:
            problem = "is locked with a password"
        files.append((below, File(below.name, time, lambda entry=entry: unpacked(archive, entry), problem)))
    students = [(below, file) for below, file in files if not is_nobodys(below.parts[0])]
    tops = {below.parts[0] for below, _ in students}
    if len(tops) == 1 and not MOODLE.fullmatch(min(tops)) and all(
            len(below.parts) > 1 or file is None for below, file in students):
        inner = [(PurePosixPath(*below.parts[1:]), file) for below, file in students if len(below.parts) > 1]
        alone = [below.stem for below, file in inner if file is not None and len(below.parts) == 1]
        if any(len(below.parts) > 1 for below, _ in inner) or (
                len(alone) > 1 and not any(name.startswith(PHASES) for name in alone)):
            return inner  # one folder round all the students' folders, or round all their notebooks
    return files


def is_nobodys(name):
    """Whether a system, and no student, has put this file or folder there."""
    return name.startswith((".", "__MACOSX")) or name.lower() in NOBODYS


def moment(make, *given):
    """When a file was written, in universal time; where its date is none, a time that is never the latest."""
    try:
        time = make(*given).astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError, OSError):
        time = None
    return time if time and 1970 <= time.year < 3000 else NEVER


def unpacked(archive, entry):
    """A zip's member, not longer than it says it is."""
    with archive.open(entry) as file:
        body = file.read(LARGEST + 1)
    if len(body) > LARGEST:
        raise ValueError(too_large(len(body)))
    return body


def too_large(size):
    return f"is too large ({size / 2**20:.0f} MB; at most {LARGEST // 2**20})"


def by_student(files, phase):
    """{(name, number in the LMS or ""): (late, [File])}"""
    students = {}
    for below, file in files:
        top = below.parts[0]
        if is_nobodys(top):
            continue
        in_a_folder = len(below.parts) > 1 or file is None
        if said := MOODLE.fullmatch(top) or (not in_a_folder and CANVAS.fullmatch(top)):
            name, lms, late = said["name"], said["lms"], bool(said["late"])
        elif in_a_folder:
            name, lms, late = top, "", False
        else:
            name = PurePosixPath(top).stem
            name, lms, late = name.removesuffix(f"_{phase}") or name, "", False
        before, some = students.get((name, lms), (False, []))
        students[name, lms] = before or late, some
        if file is not None and not any(part.startswith((".", "__MACOSX")) for part in below.parts[1:]):
            some.append(file)
    return students


def printable(text):
    """A name as it can be shown in a terminal and written to a file."""
    return "".join("?" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)[:200]


def choose(submission, files, phase):
    """The notebook of this phase among a student's files; of several the one handed in last."""
    fitting, unreadable, others = [], [], []
    notebooks = [file for file in files if file.name.lower().endswith(".ipynb")]
    for file in files[:MOST]:
        if not file.name.lower().endswith(".ipynb"):
            where = unreadable if file.problem == LOCKED else others
            where.append(f"{printable(file.name)} {file.problem or 'is not a notebook (.ipynb)'}")
    for file in sorted(notebooks, key=lambda file: file.time, reverse=True)[:MOST]:
        called = printable(file.name)
        try:
            if file.problem:
                raise ValueError(file.problem)
            cells = cells_of(file.read())
        except ValueError as problem:
            unreadable.append(f"{called} {problem}")
            continue
        except Exception as problem:  # a damaged zip has many ways to say so
            unreadable.append(f"{called} cannot be read ({type(problem).__name__})")
            continue
        match phase_of(cells):
            case None:
                unreadable.append(f"{called} is none of the course's notebooks with TODOs")
            case theirs if theirs == phase:
                fitting.append((file.time, called, cells))
            case theirs:
                others.append(f"{called} is the notebook {theirs}")
    if fitting:
        submission.time, chosen, submission.cells = max(fitting, key=lambda found: found[:2])
        several = len({json.dumps(cells) for _, _, cells in fitting}) > 1
        submission.status = "several" if several else "ready"
        submission.why = f"{len(fitting)} notebooks were handed in; {chosen}, the latest, was taken" if several else ""
    else:
        submission.status = "unreadable" if unreadable else "missing"
        submission.why = "; ".join((unreadable + others)[:5]) or "nothing was handed in"
    return submission


def cells_of(body):
    """The cells of a notebook, in a form that holds whatever else is in it; ValueError says what is wrong."""
    if not body.strip():
        raise ValueError("is empty")
    try:  # UTF-8; UTF-16, as PowerShell writes it; what is neither loses its accents, not its code
        book = json.loads(body.decode(json.detect_encoding(body), "replace").removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        merged = "; it holds the marks of a merge that was not finished (<<<<<<<)" if b"\n<<<<<<< " in body else ""
        raise ValueError(f"is not a notebook: it is not JSON{merged}") from None
    if isinstance(book, dict) and book.get("nbformat") != 4 and ("cells" in book or "worksheets" in book):
        version = json.dumps(book.get("nbformat"))[:20]
        raise ValueError(f"has the notebook format {version}, not 4: save it again in JupyterLab")
    if not isinstance(book, dict) or not isinstance(book.get("cells"), list):
        raise ValueError("is not a notebook: it has no cells")
    cells = [plain(cell) for cell in book["cells"] if isinstance(cell, dict)]
    if sum(len(cell["source"]) for cell in cells) > LONGEST:
        raise ValueError(f"holds more than {LONGEST:,} characters of code and text")
    return cells


def phase_of(cells):
    """The phase whose cells these are; None if they are none of the course's."""
    marks = {cell["grade_id"] for cell in cells} | {cell["id"] for cell in cells}
    defined = set().union(*(names_of(cell["source"]) for cell in cells if cell["type"] == "code"))
    by_marks = {phase: len(marks & ids) for phase, (ids, _) in signatures().items()}
    by_names = {phase: len(defined & names) for phase, (_, names) in signatures().items()}
    for counts in (by_marks, by_names):
        best = max(counts, key=counts.get)
        if counts[best]:
            return best
    return None


_signatures = {}


def signatures():
    """{phase: (the ids of its graded cells, the names its answers define)}"""
    if not _signatures:
        for phase in PHASES:
            graded = [cell for cell in source_notebook(phase).cells if kind(cell) in ("solution", "test")]
            names = set().union(*(names_of(clear(cell.source)) for cell in graded if kind(cell) == "solution"))
            _signatures[phase] = {cell.id for cell in graded}, names
    return _signatures


def with_ids(submissions):
    """Give each student an id that can be a folder's name anywhere, different for each.

    A number of the LMS is a part of it: namesakes keep theirs, whoever else hands in next time.
    """
    taken = set()
    for submission in submissions:
        name = unicodedata.normalize("NFC", submission.name)
        plain_name = re.sub(r"[^\w.@-]+", "_", name).strip("._-")[:80] or "student"
        plain_name += f"_{submission.lms}" if submission.lms else ""
        student, number = plain_name, 1
        while student.casefold() in taken:
            number += 1
            student = f"{plain_name}-{number}"
        taken.add(student.casefold())
        submission.student = student
    return submissions


def book_of(submission):
    """The submission as a notebook that is surely well-formed: what nbgrader gets, and what runs."""
    book, ids = nbformat.v4.new_notebook(), set()
    for number, cell in enumerate(submission.cells):
        make = nbformat.v4.new_code_cell if cell["type"] == "code" else nbformat.v4.new_markdown_cell
        metadata = {"nbgrader": {"grade_id": cell["grade_id"]}} if cell["grade_id"] else {}
        own = cell["id"] if re.fullmatch(r"[\w-]{1,64}", cell["id"]) and cell["id"] not in ids else f"cell-{number}"
        ids.add(own)
        book.cells.append(make(cell["source"], metadata=metadata, id=own))
    return book


def put(submission, phase, submitted):
    """Write the notebook and the time where nbgrader looks for them."""
    folder = submitted / submission.student / phase
    write(folder / f"{phase}.ipynb", (nbformat.writes(book_of(submission)) + "\n").encode("utf-8"))
    write(folder / "timestamp.txt", submission.time.astimezone(datetime.timezone.utc)
          .strftime("%Y-%m-%d %H:%M:%S UTC\n").encode())
