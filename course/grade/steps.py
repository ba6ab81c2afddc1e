"""Our steps in nbgrader's own `autograde`, so that Formgrader's button and `nbgrader autograde` go the same safe way.

nbgrader_config.py puts them there. In order: the answers go onto the released notebook, it runs in a sandbox (or its
result is taken from the store, where `course grade` has put it), and what each test came to is made unmistakable for
nbgrader's own scoring.
"""
import hashlib
import math
from pathlib import Path

import nbformat
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool

from course import PHASES
from course.build import write
from course.grade import sandbox
from course.grade.execute import Limits, execute
from course.grade.transplant import transplant


class Transplant(NbGraderPreprocessor):
    """The student's answers on the released notebook. Says in the notebook's metadata what was unusual."""

    def preprocess(self, nb, resources):
        phase = resources["nbgrader"]["notebook"]
        if phase not in PHASES:
            raise NbGraderException(f"There is no notebook {phase} in this course: {', '.join(PHASES)}.")
        return transplanted(nb, phase), resources


def transplanted(nb, phase):
    """The notebook to run, with what was unusual in its metadata."""
    book, notes, flags = transplant(nb, phase)
    book.metadata["submission"] = {"notes": notes, "flags": flags}
    return book


class RunSandboxed(NbGraderPreprocessor):
    """Runs the notebook in a sandbox, or takes from the store what it came to when it ran before."""
    unsafe = Bool(False, help="run without a sandbox where there is none").tag(config=True)

    def preprocess(self, nb, resources):
        raw = to_run(nb)
        grading = Path(resources["metadata"]["path"]).parents[2]  # of grading/autograded/STUDENT/PHASE
        done = grading / "executed" / f"{key_of(raw)}.ipynb"
        if not done.is_file():
            if not self.unsafe:
                try:
                    sandbox.require()
                except sandbox.SandboxError as problem:
                    raise NbGraderException(str(problem)) from None
            write(done, execute(raw, Limits(unsafe=self.unsafe)))
        ran = nbformat.reads(done.read_text(encoding="utf-8"), as_version=4)
        ran.metadata["submission"] = {**nb.metadata["submission"], "key": key_of(raw)}
        return ran, resources


def to_run(nb):
    """The bytes of a transplanted notebook: they and nothing else decide what comes out."""
    bare = nbformat.from_dict({**nb, "metadata": {k: v for k, v in nb.metadata.items() if k != "submission"}})
    return nbformat.writes(bare).encode("utf-8")


def key_of(raw):
    """The name under which a result is kept."""
    return hashlib.sha256(raw).hexdigest()[:32]


class StrictScores(NbGraderPreprocessor):
    """Leaves in each test cell what nbgrader's rules turn into the right score.

    A test that ran to its end without an error scores in full; one that did not run, or did not end, scores 0. A test
    may end with an expression that gives a part of its points: then this must be its only result, the last, and a
    number between 0 and its points. What is printed on stderr costs nothing.
    """

    def preprocess(self, nb, resources):
        self.ran = nb.metadata["grading"]["cells"]
        return super().preprocess(nb, resources)

    def preprocess_cell(self, cell, resources, cell_index):
        mark = cell.metadata.get("nbgrader", {})
        if not mark.get("grade") or cell.cell_type != "code":
            return cell, resources
        outputs = [o for o in cell.outputs if not (o.output_type == "stream" and o.name == "stderr")]
        results = [o for o in outputs if o.output_type == "execute_result"]
        errors = [o for o in outputs if o.output_type == "error"]
        if self.ran.get(cell.id, {}).get("status") != "ok" and not errors:
            errors = [failed("This test did not run to its end.")]
        elif results and not errors and not (len(results) == 1 and outputs[-1] is results[0]
                                             and score_of(results[0], mark.points) is not None):
            errors = [failed("This test gave something that is not a score.")]
        cell.outputs = [o for o in outputs if o.output_type == "stream"] + (errors[:1] or results)
        return cell, resources


def failed(says):
    return nbformat.v4.new_output("error", ename="Stopped", evalue=says, traceback=[says])


def score_of(result, points):
    """The number a result stands for, if it is one from 0 to points; else None."""
    try:
        score = float(result.data.get("text/plain", ""))
    except ValueError:
        return None
    return score if math.isfinite(score) and 0 <= score <= points else None
