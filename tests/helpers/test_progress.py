"""What passed when: what is noted, what is shown, and that neither a full disk nor a foreign file costs anything."""
import importlib
import json
import linecache
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import torch
from nbclient import NotebookClient

import helpers
from course import PHASES
from helpers import checks, oracle, parts

progress = importlib.import_module("helpers.progress")  # `helpers.progress` is the function
ROOT = Path(__file__).resolve().parents[2]
RIGHT = "def causal_mask(seq_len, device=None):\n    return torch.ones(seq_len, seq_len, device=device).tril() == 1\n"
WRONG = RIGHT.replace("tril", "triu")
UNFINISHED = 'def causal_mask(seq_len, device=None):\n    raise NotImplementedError("TODO 21")\n'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder for what passed, which does not exist yet; a kernel that knows nothing; and nobody is grading."""
    path = tmp_path / "tiny_llm"
    monkeypatch.setenv("TINYLLM_PARTS", str(path))
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(parts, "_in_kernel", lambda: True)
    monkeypatch.setattr(parts, "keep", lambda *arguments: None)
    restart(monkeypatch)
    known = set(linecache.cache)
    yield path
    for name in set(linecache.cache) - known:
        del linecache.cache[name]


def restart(monkeypatch):
    monkeypatch.setattr(progress, "_unsaved", {})


def check(source, **options):
    """Run todo_21 on a function that was written in a cell."""
    name, space = "/tmp/ipykernel_1/1.py", {"torch": torch}
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), space)
    try:
        checks.todo_21(space["causal_mask"], **options)
    except (AssertionError, NotImplementedError):
        pass


def report():
    """The lines that progress() prints outside a notebook."""
    return progress._Report().lines()


def state(todo=21):
    return re.search(rf"^ +{todo}  .{{27}} (.*)$", report(), re.MULTILINE)[1]


def note(folder, *todos, right=True):
    """What another kernel writes."""
    folder.mkdir(exist_ok=True)
    entry = {"passed": "2026-11-23T09:16:00+01:00", "now": right}
    (folder / "progress.json").write_text(json.dumps({"todos": {str(todo): entry for todo in todos}}))


ON = r"passed on \d{4}-\d\d-\d\d at \d\d:\d\d"


# The tables

def test_names_notebooks_and_what_they_fetch_are_the_sources():
    assert PHASES == progress.PHASES
    for phase in PHASES:
        source = (ROOT / "source" / phase / f"{phase}.py").read_text(encoding="utf-8")
        titles = dict(re.findall(r"^# \| (\d+) \| (.*?)(?::.*)? \| ★", source, re.MULTILINE))
        shown = {str(todo): progress._name(todo) for todo in progress.PHASE_OF if progress.PHASE_OF[todo] == phase}
        assert shown == {todo: title.replace("`", "") for todo, title in titles.items()}
        fetched = re.findall(r'^(\w+) = parts\.get\("\1"\)', source, re.MULTILINE)
        fetched = tuple(name for name in parts.PIECE_OF if name in fetched)
        assert progress.FETCHED.get(phase, ()) == fetched, f"{phase} gets other pieces now: put them into FETCHED"
    assert list(progress.PHASE_OF) == list(range(1, 32))


# What is noted

def test_a_pass_is_kept_and_a_later_failure_takes_nothing_away(folder, monkeypatch):
    assert state() == "to do"
    check(RIGHT)
    assert re.fullmatch(ON, state()) and "1 of 31 TODOs passed." in report()
    first = json.loads((folder / "progress.json").read_text())["todos"]["21"]["passed"]
    restart(monkeypatch)
    assert re.fullmatch(ON, state())
    monkeypatch.setattr(progress, "_time", lambda: "2030-01-02T03:04:05+01:00")
    for source in WRONG, UNFINISHED:
        check(source)
        restart(monkeypatch)
        assert re.fullmatch(ON + ", not right now", state())
    check(RIGHT)
    assert json.loads((folder / "progress.json").read_text())["todos"]["21"] == {"passed": first, "now": True}
    assert re.fullmatch(ON, state())


def test_the_last_word_of_another_kernel_counts(folder):
    check(RIGHT)
    note(folder, 21, right=False)
    assert state() == "passed on 2026-11-23 at 09:16, not right now"
    check(RIGHT)
    assert state() == "passed on 2026-11-23 at 09:16"


def test_what_never_passed_leaves_no_trace(folder):
    check(WRONG)
    check(UNFINISHED)
    assert not folder.exists() and state() == "to do"


def test_most_checks_write_nothing(folder):
    check(RIGHT)
    before = (folder / "progress.json").stat().st_mtime_ns
    check(RIGHT)
    assert (folder / "progress.json").stat().st_mtime_ns == before


def test_only_a_learners_own_answer_in_a_kernel_counts(folder, monkeypatch):
    check(RIGHT, quiet=True)
    checks.todo_21(oracle.causal_mask)  # not from a cell
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    check(RIGHT)
    monkeypatch.delenv("NBGRADER_EXECUTION")
    monkeypatch.setattr(parts, "_in_kernel", lambda: False)
    check(RIGHT)
    assert not folder.exists() and state() == "to do"


# Writing when things go wrong

def test_a_folder_that_cannot_be_written_is_one_line(folder, monkeypatch, capsys):
    folder.write_text("a plain file")
    check(RIGHT)
    assert capsys.readouterr().out.count("\n") == 1  # the check's own
    assert re.fullmatch(ON, state())
    last = report().splitlines()[-1]
    assert re.fullmatch(r".*tiny_llm cannot be written or read \(.+\): what passes is remembered by this kernel only\.",
                        last)
    assert folder.read_text() == "a plain file"
    check(WRONG)
    assert state().endswith("not right now")
    check(RIGHT)
    folder.unlink()
    assert re.fullmatch(ON, state()) and "cannot be" not in report()
    restart(monkeypatch)
    assert re.fullmatch(ON, state()), "written as soon as it can be"


@pytest.mark.parametrize("content", [
    b"", b"\xff\xfe half a file", b'{"todos": {"21": {"passed": "2026-', b"[1, 2]", b"{}", b'{"todos": [21]}',
    b'{"todos": {"21": true}}', b'{"todos": {"21": {"passed": "yesterday", "now": true}}}',
    b'{"todos": {"21": {"passed": "2026-11-23T09:16:00", "now": []}}}', b'{"todos": {"x": {}}}', b"[" * 100_000,
])
def test_a_damaged_or_foreign_file_is_one_sentence_and_stays(folder, content, monkeypatch):
    folder.mkdir()
    path = folder / "progress.json"
    path.write_bytes(content)
    sentence = report().splitlines()[-1]
    assert re.fullmatch(r"tiny_llm/progress\.json is damaged or not the course's \(.+\) and stays as it is: rename it, "
                        r"and .*", sentence) and len(sentence) < 250
    check(RIGHT)
    assert re.fullmatch(ON, state()) and path.read_bytes() == content
    path.rename(folder / "mine.json")
    assert re.fullmatch(ON, state()) and "damaged" not in report()
    restart(monkeypatch)
    assert re.fullmatch(ON, state())


def test_what_a_later_version_writes_into_the_file_stays(folder):
    folder.mkdir()
    entry = {"passed": "2026-11-23T09:16:00+01:00", "now": True, "minutes": 12}
    (folder / "progress.json").write_text(json.dumps({"more": 1, "todos": {"32": entry, "3": entry}}))
    check(RIGHT)
    content = json.loads((folder / "progress.json").read_text())
    assert content["more"] == 1 and content["todos"]["3"] == content["todos"]["32"] == entry
    assert state(3) == "passed on 2026-11-23 at 09:16" and report().startswith("2 of 31 TODOs passed.")


def test_what_goes_wrong_inside_never_spoils_a_check(monkeypatch, capsys):
    def broken(*arguments):
        raise RuntimeError
    monkeypatch.setattr(progress, "_entries", broken)
    check(RIGHT)
    assert capsys.readouterr().out.startswith("TODO 21 passed")


WRITER = '''
import sys, time
from helpers import parts
from helpers.progress import record
parts._in_kernel = lambda: True
parts._cell_of = lambda thing: "a cell"
first, end, other = map(int, sys.argv[1:])
parts.folder().with_name(f"ready {first}").touch()
while not parts.folder().with_name(f"ready {other}").exists():
    time.sleep(0.001)
for todo in range(first, end, 2):
    record(todo, ["an answer"], True)
'''


def writer(first, end, other):
    """A kernel in which every second check passes; it begins when the kernel that begins with `other` is ready."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", WRITER, str(first), str(end), str(other)], env=environment)


def test_two_kernels_write_at_once(folder):
    both = [writer(101, 301, 102), writer(102, 302, 101)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert sorted(map(int, json.loads((folder / "progress.json").read_text())["todos"])) == list(range(101, 301))
    assert os.listdir(folder) == ["progress.json"]


def test_a_kernel_killed_while_it_writes(folder, monkeypatch):
    monkeypatch.setattr(parts, "PATIENCE_S", 0.2)
    for _ in range(3):
        process = writer(101, 10**9, 101)
        until = time.monotonic() + 60
        while not (folder / "progress.json").exists() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait(60)
        kept = json.loads((folder / "progress.json").read_text())["todos"]  # the old file or the new one, whole
        assert list(map(int, kept)) == list(range(101, 101 + 2 * len(kept), 2)) and kept
        check(RIGHT)  # and the next kernel writes again
        restart(monkeypatch)
        assert state().startswith("passed on")
        (folder / "progress.json").unlink()


# What is shown

def test_what_comes_next(folder):
    assert report().splitlines()[-1] == "Next: TODO 1, create_tensors, in notebooks/1_tensors/1_tensors.ipynb"
    assert state(1) == "next"
    note(folder, *range(1, 11))
    assert report().splitlines()[-1].startswith("Next: TODO 11, SelfAttention.forward, in notebooks/3b_attention/")
    note(folder, *range(1, 32))
    assert "31 of 31 TODOs passed." in report() and "Next" not in report() and "next" not in report()
    note(folder, *range(1, 32), right=False)
    assert report().splitlines()[-1].startswith("Next: TODO 1, ") and state(1).endswith("not right now")


def test_a_notebook_works_with_stand_ins_until_the_pieces_are_kept(folder):
    def waits(phase):
        after = report().split(f"\n{phase}: ")[1].splitlines()[1]
        return after.strip() if "stand-ins" in after else ""

    assert waits("1_tensors") == waits("2_modules") == waits("3a_embeddings") == ""
    assert waits("5_training") == ("works with stand-ins for TinyLLM (TODO 19), generate (TODO 20), "
                                   "CharTokenizer (TODO 24)")
    folder.mkdir()
    (folder / "model.py").write_text("\n\n\n# ---- TODO 18-19: TinyLLM -----\n\n\n# ---- TODO 20: generate ----\n")
    assert waits("5_training") == "works with stand-ins for CharTokenizer (TODO 24)"
    assert state(18) == state(19) == state(20) == "passed, and is kept in tiny_llm/model.py"
    assert report().startswith("3 of 31 TODOs passed.") and state(21) == "to do"
    note(folder, 19, right=False)
    assert state(19) == "passed on 2026-11-23 at 09:16, not right now"
    note(folder, *range(1, 18))
    assert report().splitlines()[-1].startswith("Next: TODO 21, "), "what is kept is done"


def test_plain_lines_outside_a_notebook(folder, monkeypatch, capsys):
    monkeypatch.setattr(parts, "_in_kernel", lambda: False)
    assert helpers.progress() is None
    printed = capsys.readouterr().out
    assert printed == report() + "\n" and printed.isascii()


def test_nothing_is_shown_while_grading(folder, monkeypatch, capsys):
    note(folder, 1)
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    helpers.progress()
    assert capsys.readouterr().out == "While grading, no progress is kept or shown.\n"


class Words(HTMLParser):
    """Text and links of a page; fails at a tag that is not closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.text, self.links = [], "", {}
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        self.text += data + " "
        if self.open and self.open[-1][0] == "a":
            self.links[self.open[-1][1]["href"]] = data


def lines_missing_in(page):
    def squeezed(text):
        return re.sub(r"[\s.]+", "", text)
    return [line for line in report().splitlines() if squeezed(line) not in squeezed(Words(page).text)]


def test_the_table_says_the_same_in_words_and_links_to_what_is_next(folder, monkeypatch):
    note(folder, *range(1, 11))
    monkeypatch.chdir(ROOT / "notebooks" / "2_modules")
    page = progress._Report().table()
    assert lines_missing_in(page) == []
    assert Words(page).links == {"../3b_attention/3b_attention.ipynb":
                           "TODO 11, SelfAttention.forward, in notebooks/3b_attention/3b_attention.ipynb"}
    assert all((Path.cwd() / address).is_file() for address in Words(page).links)
    assert "color" not in page and "background" not in page
    monkeypatch.chdir(folder)  # no notebook stands beside
    assert Words(progress._Report().table()).links == {}
    (folder / "progress.json").write_text("damaged <b>")
    assert lines_missing_in(progress._Report().table()) == []


def run(folder, *cells, **environment):
    """The outputs of each cell, run in a kernel of its own."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    before = dict(os.environ)
    os.environ.update({"TINYLLM_PARTS": str(folder), "PYTHONPATH": str(ROOT), **environment})
    try:
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return [cell.outputs for cell in notebook.cells]


def test_in_real_kernels(folder):
    first, show = "import torch, helpers\nfrom helpers import checks", "helpers.progress()"
    graded = run(folder, first, RIGHT, "checks.todo_21(causal_mask)", show, NBGRADER_EXECUTION="autograde")
    assert not folder.exists() and "While grading" in graded[-1][0].text
    run(folder, first, RIGHT, "checks.todo_21(causal_mask)")
    (output,) = run(folder, first, show)[-1]  # after a restart
    assert re.search(rf"causal_mask +{ON}\n", output.data["text/plain"]) and output.data["text/plain"].isascii()
    assert re.search(rf"<td [^>]*>causal_mask</td><td [^>]*>{ON}</td>", output.data["text/html"])
