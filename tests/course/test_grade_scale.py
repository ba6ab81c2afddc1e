"""A class that is large, or graded under difficulties: stopped, ended, on a cluster that loses a worker, in PostgreSQL.

All with the real command, real sandboxes, real servers on this machine.
"""
import csv
import datetime
import fcntl
import getpass
import json
import os
import pty
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import psutil
import pytest
from filelock import FileLock
from handed_in import ANSWERS, PHASE, files, in_answer
from nbgrader.api import Gradebook

from course import ROOT, setup
from course.grade import coordinator
from course.grade.execute import Limits
from course.grade.workers import run_all

pytestmark = [
    pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed, so nothing is sandboxed"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),  # see gradebook.py
]
STUDENTS = [f"student-{number}" for number in range(6)]


def hand_in(folder, students=STUDENTS):
    """Everybody's own notebook, so that no result serves for two; every third did only TODO 5."""
    for number, name in enumerate(students):
        (folder / name).mkdir(parents=True)
        make = files(in_answer(f"# {name}"), keep=ANSWERS if number % 3 else {5})
        for file, body in make().items():
            (folder / name / file).write_bytes(body)
    return folder


def right(students=STUDENTS):
    return {name: "4" if number % 3 else "2" for number, name in enumerate(students)}


def rows(into):
    with open(into / "grading" / "reports" / PHASE / "grades.csv", newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def scores(into):
    return {name: row["score"] for name, row in rows(into).items()}


def command(submissions, into, *options):
    return [sys.executable, "-m", "course", "grade", PHASE, str(submissions), "--into", str(into), *options]


def grade(submissions, into, *options):
    return subprocess.run(command(submissions, into, *options), cwd=ROOT, env=setup.environment(), capture_output=True,
                          text=True, timeout=600)


def in_process(*arguments):
    """The same without a new process, where all results are there already."""
    return coordinator.main([PHASE, *map(str, arguments)])


def executed(into):
    """{result: when it was written}"""
    return {path.name: path.stat().st_mtime_ns for path in (into / "grading" / "executed").glob("*.ipynb")}


def pages(into):
    """{file: bytes} of the feedback and the tables."""
    return {path.relative_to(into): path.read_bytes() for kind in ("feedback", "reports")
            for path in (into / "grading" / kind).rglob("*.*") if path.name != "report.html"}  # that holds seconds


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def until_done(number, into, process):
    wait_for(lambda: len(executed(into)) >= number or process.poll() is not None)


@pytest.fixture(scope="module")
def submissions(tmp_path_factory):
    return hand_in(tmp_path_factory.mktemp("handed-in"))


@pytest.fixture(scope="module")
def everybody(submissions, tmp_path_factory):
    """The class, graded once, with a kernel for each that is started anew."""
    into = tmp_path_factory.mktemp("class")
    outcome = grade(submissions, into, "--workers", "2")
    assert outcome.returncode == 0, outcome.stderr
    return into


# --- stopped, and gone on with -----------------------------------------------------------------------------------

def started(submissions, into, *options):
    """The command in a terminal of its own -> (process, what reads the terminal)."""
    terminal, other_end = pty.openpty()
    fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))  # lines, columns
    process = subprocess.Popen(command(submissions, into, *options), cwd=ROOT, env=setup.environment(),
                               start_new_session=True, stdin=other_end, stdout=other_end, stderr=other_end)
    os.close(other_end)
    return process, terminal


def last_words(process, terminal):
    """All that it printed, when it has ended."""
    said = b""
    while True:
        try:
            said += os.read(terminal, 65536)
        except OSError:  # nobody has the other end any more
            break
    os.close(terminal)
    process.wait(timeout=60)
    return said.decode()


def test_ctrl_c_and_kill_lose_nothing_and_leave_nothing(submissions, everybody, tmp_path):
    """Ctrl-C as a terminal gives it, to all processes at once; then the coordinator alone is killed; then a worker."""
    before = {}
    for number, blow in ((1, signal.SIGINT), (3, signal.SIGKILL), (4, None)):
        process, terminal = started(submissions, tmp_path, "--workers", "2", "--fast")
        until_done(number, tmp_path, process)
        family = psutil.Process(process.pid).children(recursive=True)
        if blow == signal.SIGINT:
            os.killpg(process.pid, blow)
        elif blow == signal.SIGKILL:
            process.kill()
        else:
            next(p for p in family if "multiprocessing.spawn" in " ".join(p.cmdline())).kill()
        said = last_words(process, terminal)
        psutil.wait_procs(family, timeout=20)
        assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        assert f"{PHASE}:" in said and "student" in said  # the progress bar
        assert "Traceback" not in said, said
        if blow == signal.SIGINT:
            assert process.returncode == 130 and "The same command goes on from here" in said
        assert not [*(tmp_path / "grading").rglob("*.tmp*")]
        for path in (tmp_path / "grading").rglob("*.ipynb"):
            json.loads(path.read_text(encoding="utf-8"))
        after = executed(tmp_path)
        assert before.items() <= after.items()  # what was done is not done again
        before = after
    assert process.returncode == 0 and scores(tmp_path) == right()
    assert pages(tmp_path) == pages(everybody)  # --fast or not, in one go or in three: the same bytes


def test_two_at_once_do_not_meet(submissions, everybody, capsys):
    with FileLock(everybody / "grading" / "lock"):
        assert in_process(submissions, "--into", everybody) == 1
    assert "Another `course grade` is at work" in capsys.readouterr().err


# --- one student's failure ---------------------------------------------------------------------------------------

def test_a_failure_is_the_status_of_one(submissions, everybody, tmp_path, capsys):
    """nbgrader cannot write one student's folder. The others have their grades, and so has that one the next time."""
    into = shutil.copytree(everybody, tmp_path / "class")
    shutil.rmtree(into / "grading" / "autograded")
    (into / "grading" / "autograded").mkdir()
    (into / "grading" / "autograded" / "student-2").write_text("in the way", encoding="utf-8")
    assert in_process(submissions, "--into", into) == 1
    row = rows(into)["student-2"]
    assert row["status"] == "not graded" and row["score"] == row["TODO 4"] == "" and "nbgrader could not" in row["why"]
    assert scores(into) == {**right(), "student-2": ""}
    assert "student-2: not graded" in capsys.readouterr().out
    assert "student-2" not in (into / "grading" / "reports" / PHASE / "canvas.csv").read_text(encoding="utf-8")
    (into / "grading" / "autograded" / "student-2").unlink()
    assert in_process(submissions, "--into", into) == 0
    assert scores(into) == right() and executed(into) == executed(everybody)


def test_what_cannot_run_is_handed_back_and_the_rest_runs(everybody, submissions):
    """Bytes that are no notebook, beside one that is: as a worker's failure that no student is to pay for."""
    name = next(iter(executed(everybody)))
    fine = (everybody / "grading" / "executed" / name).read_bytes()
    options = coordinator.arguments([PHASE, str(submissions), "--workers", "1"])
    found = dict(run_all({"bad": b"no notebook", "fine": fine}, Limits(), options))
    assert isinstance(found["bad"], ValueError) and json.loads(found["fine"])["metadata"]["grading"]["cells"]


def test_ctrl_c_waits_for_what_must_not_be_cut():
    done = False
    with pytest.raises(KeyboardInterrupt), coordinator.uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done = True
    assert done


def test_a_console_that_shows_only_ascii(tmp_path):
    (tmp_path / "submissions" / "Zoë 王").mkdir(parents=True)
    outcome = subprocess.run(command(tmp_path / "submissions", tmp_path / "class"), cwd=ROOT, capture_output=True,
                             env={**setup.environment(), "PYTHONIOENCODING": "ascii"}, timeout=100)
    assert outcome.returncode == 0 and b"Zo\\xeb \\u738b: missing" in outcome.stdout, outcome
    assert rows(tmp_path / "class")["Zoë 王"]["status"] == "missing"


# --- the options -------------------------------------------------------------------------------------------------

def test_student_and_regrade_touch_one_and_keep_the_others(submissions, everybody, tmp_path, capsys):
    into = shutil.copytree(everybody, tmp_path / "class")
    outcome = grade(submissions, into, "--student", "student-1", "--regrade", "--workers", "1", "--fast")
    assert outcome.returncode == 0, outcome.stderr
    old, new = executed(everybody), executed(into)
    assert sum(new[name] > old[name] for name in old) == 1 and scores(into) == right()
    assert pages(into) == pages(everybody)
    assert in_process(submissions, "--into", into, "--student", "nobody") == 1
    assert "holds nothing of a student 'nobody'" in capsys.readouterr().err


def test_due(submissions, everybody, tmp_path, capsys):
    """A later time stamp of the same work counts; a due time may be given afterwards."""
    into = shutil.copytree(everybody, tmp_path / "class")
    mine = shutil.copytree(submissions, tmp_path / "mine")
    due = datetime.datetime(2026, 1, 2, 12)
    for name in STUDENTS:
        seconds = due.timestamp() + (60 if name == "student-3" else -60)
        os.utime(mine / name / f"{PHASE}.ipynb", (seconds, seconds))
    assert in_process(mine, "--into", into, "--due", due.isoformat(" ")) == 0
    assert {name: row["late"] for name, row in rows(into).items() if row["late"]} == {"student-3": "late"}
    with pytest.raises(SystemExit):
        in_process(mine, "--into", into, "--due", "tomorrow")
    assert "'tomorrow' is not a time" in capsys.readouterr().err


# --- the gradebook -----------------------------------------------------------------------------------------------

def test_sqlite_lets_others_read_meanwhile(submissions, everybody, tmp_path):
    into = shutil.copytree(everybody, tmp_path / "class")
    with sqlite3.connect(into / "gradebook.db") as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM grade").fetchall()  # as Formgrader does, while somebody looks
        started_at = time.monotonic()
        assert in_process(submissions, "--into", into, "--student", "student-1") == 0
        assert time.monotonic() - started_at < 30  # the busy time-out is a minute
    reader.close()


def postgres():
    """The folder of PostgreSQL's programs, or None."""
    found = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), *map(Path, os.get_exec_path())]
    return next((folder for folder in found if (folder / "initdb").is_file()), None)


@pytest.fixture
def database():
    """The URL of an empty database, in a server of its own that only a socket reaches."""
    programs = postgres()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # not below pytest's own, which only its owner may enter
    user = {"user": "nobody"} if os.getuid() == 0 else {}  # the server refuses to run as root
    owner = "nobody" if user else getpass.getuser()
    shutil.chown(folder, owner)
    variables = {**os.environ, "LC_ALL": "C.UTF-8"}
    subprocess.run([programs / "initdb", "-D", folder / "data", "-U", "course", "--auth=trust", "--no-sync"],
                   check=True, cwd=folder, env=variables, stdout=subprocess.DEVNULL, **user)
    server = subprocess.Popen([programs / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=",
                               "-F"], cwd=folder, env=variables, stderr=subprocess.DEVNULL, **user)
    try:
        wait_for((folder / ".s.PGSQL.5432").exists, 30)
        yield f"postgresql://course@/postgres?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)  # "fast shutdown"
        server.wait(timeout=30)
        shutil.rmtree(folder)


def test_postgresql(database, submissions, everybody, tmp_path, capsys):
    """Formgrader's own reader finds the same points there; a second run adds nothing; the pages are the same."""
    (tmp_path / "class" / "grading").mkdir(parents=True)
    shutil.copytree(everybody / "grading" / "executed", tmp_path / "class" / "grading" / "executed")
    for _ in range(2):
        assert in_process(submissions, "--into", tmp_path / "class", "--db", database) == 0
    assert pages(tmp_path / "class") == pages(everybody) and not (tmp_path / "class" / "gradebook.db").exists()
    with Gradebook(database.replace("postgresql:", "postgresql+psycopg:"), "tinyllm") as gradebook:
        found = {s.student.id: f"{s.score:g}" for s in gradebook.assignment_submissions(PHASE)}
    assert found == right()
    capsys.readouterr()
    assert in_process(submissions, "--into", tmp_path / "class", "--db", database.replace("/postgres?", ":secret@/x?")
                      .replace("course@:secret", "course:secret")) == 1
    said = capsys.readouterr().err
    assert "cannot be opened" in said and "secret" not in said and "Traceback" not in said


# --- more than one machine ---------------------------------------------------------------------------------------

class Cluster:
    """A Dask scheduler and its workers, each a process on this machine."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.start("scheduler", "--host", self.address, "--no-dashboard", "--no-show")

    def start(self, kind, *options, path=None):
        log = open(self.folder / f"{len(self.processes)}.log", "w")
        variables = {**setup.environment(), "DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
        process = subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_" + kind, *options], stdout=log,
                                   stderr=log, cwd=self.folder, env={**variables, **({"PATH": path} if path else {})})
        log.close()
        self.processes.append(process)
        return process

    def worker(self, path=None):
        """One without a nanny: who kills it kills what works."""
        return self.start("worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard",
                          "--local-directory", str(self.folder), path=path)

    def workers(self, number):
        from distributed import Client
        with Client(self.address, set_as_default=False) as client:
            wait_for(lambda: len(client.nthreads()) == number, 60)

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def test_dask_loses_a_worker_and_nothing_else(cluster, submissions, everybody, tmp_path, capsys):
    """... and before that refuses: no scheduler, no worker, a worker without a sandbox."""
    into, options = tmp_path / "class", ("--scheduler", cluster.address)
    assert in_process(submissions, "--into", into, "--scheduler", "tcp://127.0.0.1:1") == 1
    assert "No Dask scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err
    assert in_process(submissions, "--into", into, *options) == 1
    assert "has no workers" in capsys.readouterr().err
    without_sandbox = cluster.worker(path=str(setup.BIN))
    cluster.workers(1)
    assert in_process(submissions, "--into", into, *options) == 1
    said = capsys.readouterr().err
    assert "Worker tcp" in said and "apt install bubblewrap" in said and not executed(into)
    without_sandbox.kill()
    cluster.workers(0)

    victim, _ = cluster.worker(), cluster.worker()
    cluster.workers(2)
    process, terminal = started(submissions, into, *options, "--fast")
    until_done(2, into, process)
    before = executed(into)
    assert 2 <= len(before) < len(STUDENTS)
    victim.kill()
    said = last_words(process, terminal)
    assert process.returncode == 0, said
    assert before.items() <= executed(into).items() and set(executed(into)) == set(executed(everybody))
    assert scores(into) == right() and pages(into) == pages(everybody)  # the same bytes as on one machine
    with Gradebook(f"sqlite:///{into / 'gradebook.db'}", "tinyllm") as gradebook:
        assert sorted(s.student.id for s in gradebook.assignment_submissions(PHASE)) == STUDENTS


# --- how fast ----------------------------------------------------------------------------------------------------

def test_bench_grade_compares(capfd):
    """Two runs, each checked by its grades; how fast they are is not for a test on a busy machine."""
    from course import bench
    assert bench.main(["grade", "--students", "1", "--workers", "1"]) == 0
    stock, ours = map(json.loads, capfd.readouterr().out.splitlines())
    assert (stock["what"], ours["what"]) == ("nbgrader autograde", "course grade --fast")
    for found in (stock, ours):
        assert found["all_points"] == found["students"] == 1 and found["wall_s"] > 1
        assert max(size for _, size, _ in found["memory_mb"]["rows"]) > 50
