"""Which TODOs passed, and when: what `helpers.progress()` shows at the end of each notebook.

A check that passes in a notebook notes the TODO, the date and the time in `progress.json`, beside the learner's pieces
(see parts.py). One that fails later takes nothing away: the TODO then "passed on ..., not right now". Where the file
cannot be written, or is not ours, this kernel remembers for as long as it lives.
"""
import datetime
import html
import json
import re
from pathlib import Path

from helpers import parts

FILE = "progress.json"
ABOUT = "What passed when: helpers.progress() of the TinyLLM course shows it."
PHASE_OF = dict.fromkeys((1, 2), "1_tensors")  # TODO -> its notebook; these two are part of no piece
PHASE_OF |= {todo: piece.phase for piece in parts.PIECES for todo in range(piece.first, piece.last + 1)}
PHASES = tuple(dict.fromkeys(PHASE_OF.values()))
FETCHED = {  # notebook -> the pieces that it gets from parts.get, in the order of the TODOs
    "3b_attention": ("split_heads", "merge_heads", "TokenEmbedding", "PositionalEncoding"),
    "3c_blocks": ("TokenEmbedding", "PositionalEncoding", "MultiHeadAttention"),
    "4_model": ("TokenEmbedding", "PositionalEncoding", "TransformerBlock", "causal_mask"),
    "5_training": ("TinyLLM", "generate", "CharTokenizer"),
}

_unsaved = {}  # "11" -> entry as in the file: what this kernel could not write


def progress():
    """Show the 31 TODOs by notebook: what passed when, which notebook still works with stand-ins, and what comes next.

    In a notebook a table; elsewhere lines of plain text. Returns None. While grading it shows and keeps nothing.
    """
    if parts._grading():
        print("While grading, no progress is kept or shown.")
        return
    report = _Report()
    if parts._in_kernel():
        from IPython.display import display
        display({"text/html": report.table(), "text/plain": report.lines()}, raw=True)
    else:
        parts._say_as_it_is(report.lines())


def record(todo, answers, right):
    """Note that the check of a TODO passed, or that one which passed before does not now. It never raises.

    Like `parts.keep` it does nothing outside a notebook's kernel, while grading, and for answers that were not written
    in a cell of this notebook.
    """
    if parts._grading() or not parts._in_kernel():
        return
    try:
        if None in [parts._cell_of(answer) for answer in answers]:
            return
        before = _entries().get(str(todo))
        if before["now"] is right if before else not right:
            return  # known already, or never passed: most checks end here and write nothing
        _unsaved[str(todo)] = {"passed": before["passed"] if before else _time(), "now": right}
        _save()
    except Exception:  # whatever happens here must not spoil the check; progress() says what stands in the way
        pass


def _time():
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


# --- the file ----------------------------------------------------------------------------------------------------

def _read(path):
    """The file's whole content; a new one where there is none. ValueError for anything that is not ours."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {"about": ABOUT, "todos": {}}
    except RecursionError:
        raise ValueError("too deeply nested") from None
    try:
        for todo, entry in content["todos"].items():
            int(todo), datetime.datetime.fromisoformat(entry["passed"]), {True: 1, False: 0}[entry["now"]]
    except (AttributeError, KeyError, TypeError):
        raise ValueError("it is no list of TODOs that passed") from None
    return content


def _entries():
    """What is known about each TODO: the file's entries, and those that could not be written."""
    try:
        kept = _read(parts.folder() / FILE)["todos"]
    except (OSError, ValueError):
        kept = {}
    return {**kept, **_unsaved}


def _save():
    """Write what the file does not have yet. The sentence that says what stands in the way, or ""."""
    root = parts.folder()
    path, place = root / FILE, f"{root.name}/{FILE}"
    try:
        if not _unsaved:
            _read(path)  # is it still ours?
            return ""
        root.mkdir(exist_ok=True)  # not its parents, as in parts
        with parts._lock(root):  # another notebook may write at the same time
            content = _read(path)
            content["todos"].update(_unsaved)
            parts._replace(path, json.dumps(content, indent=1) + "\n")
        _unsaved.clear()
        return ""
    except ValueError as problem:  # not JSON, not text, or not ours
        return (f"{place} is damaged or not the course's ({' '.join(str(problem).split())}) and stays as it is: rename "
                "it, and what passes is kept again. Until then only this kernel remembers.")
    except OSError as problem:
        return (f"{root} cannot be written or read ({problem.strerror or type(problem).__name__}): what passes is "
                "remembered by this kernel only.")


# --- what there is to say ----------------------------------------------------------------------------------------

class _Report:
    """The same words for the table and for the lines.

    phases: (phase, how many passed, what it works with, [(TODO, its name, its state), ...]) for each notebook
    next: the first TODO that has not passed or is not right now, or None
    trouble: the sentence of `_save`
    """

    def __init__(self):
        self.trouble, kept = _save(), parts._kept().sections
        states, right = {}, set()
        for piece in kept:  # what is kept has passed, even where its entry is lost
            for todo in range(piece.first, piece.last + 1):
                states[todo] = f"passed, and is kept in {parts.folder().name}/{piece.file}"
                right.add(todo)
        for key, entry in _entries().items():
            todo, when = int(key), datetime.datetime.fromisoformat(entry["passed"])
            states[todo] = f"passed on {when:%Y-%m-%d} at {when:%H:%M}" + ("" if entry["now"] else ", not right now")
            (right.add if entry["now"] else right.discard)(todo)
        self.passed = sum(todo in states for todo in PHASE_OF)
        self.next = next((todo for todo in PHASE_OF if todo not in right), None)
        states.setdefault(self.next, "next")
        self.phases = []
        for phase in PHASES:
            todos = [todo for todo in PHASE_OF if PHASE_OF[todo] == phase]
            count = f"{sum(states.get(todo, 'next') != 'next' for todo in todos)} of {len(todos)} passed"
            waits = ", ".join(f"{name} (TODO {parts.PIECE_OF[name].last})" for name in FETCHED.get(phase, ())
                              if parts.PIECE_OF[name] not in kept)
            self.phases.append((phase, count, f"works with stand-ins for {waits}" if waits else "",
                                [(todo, _name(todo), states.get(todo, "to do")) for todo in todos]))

    def lines(self):
        """As plain text."""
        lines = [f"{self.passed} of {len(PHASE_OF)} TODOs passed."]
        for phase, count, waits, todos in self.phases:
            lines += ["", f"{phase}: {count}"] + [f"      {waits}"] * bool(waits)
            lines += [f"  {todo:2}  {name:27} {state}" for todo, name, state in todos]
        if self.next:
            lines += ["", f"Next: {self.next_words()}"]
        return "\n".join(lines + [self.trouble] * bool(self.trouble))

    def table(self):
        """As HTML. It has no colours of its own: it is as readable as the page around it."""
        left = 'style="text-align: left"'
        rows = []
        for phase, count, waits, todos in self.phases:
            rows.append(f'<tr><th colspan="3" scope="colgroup" {left}>{phase}: {count}'
                        f'<div style="font-weight: normal">{waits}</div></th></tr>')
            rows += [f"<tr><td>{todo}</td><td {left}>{name}</td><td {left}>{html.escape(state)}</td></tr>"
                     for todo, name, state in todos]
        below = []
        if self.next:
            address = f"{PHASE_OF[self.next]}/{PHASE_OF[self.next]}.ipynb"
            there = (Path.cwd().parent / address).is_file()  # a notebook's kernel stands in its own folder
            below.append("Next: " + (f'<a href="../{address}">{self.next_words()}</a>' if there else self.next_words()))
        below += [html.escape(self.trouble)] * bool(self.trouble)
        return (f"<table><caption {left}>{self.passed} of {len(PHASE_OF)} TODOs passed</caption>{''.join(rows)}</table>"
                + "".join(f"<p>{line}</p>" for line in below))

    def next_words(self):
        phase = PHASE_OF[self.next]
        return f"TODO {self.next}, {_name(self.next)}, in notebooks/{phase}/{phase}.ipynb"


def _name(todo):
    """What a TODO asks for, as its check calls it: "SelfAttention.forward"."""
    from helpers import checks  # imports torch; in a notebook that is done already
    return re.match(r"[\w.]+( and [\w.]+)?", getattr(checks, f"todo_{todo}").__doc__).group()
