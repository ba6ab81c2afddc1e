"""python3 -m course grade PHASE SUBMISSIONS: from what a class handed in to grades.csv, a page for each student and a
report.

    coordinator.py  the command; it alone touches the gradebook
    intake.py       one notebook and one status for each student, whatever was handed in
    transplant.py   the student's answers, on the notebook as it was released; suspicions.py scans them,
                    magics.py takes out IPython's own lines
    execute.py      bytes of a notebook -> bytes of the notebook with its outputs; pure, so any Executor can run it
    workers.py      the Executors: processes of this machine, or a Dask cluster
    sandbox.py      the kernel it runs in, kernel.py; inside.py watches there, and watch.py hears what it has seen
    steps.py        the same steps for nbgrader's own `autograde`, and strict scoring
    gradebook.py    nbgrader's gradebook and folders
    report.py       grades.csv and report.html; summary.py, the class as a whole; feedback.py, a page for each student;
                    export.py, the forms of Canvas and Moodle

Everything of one class lies in one folder (the course's, or --into). A run that was stopped goes on where it was.
"""


def main(argv):
    """Grade; returns 0, or 1 when somebody who should have a grade has none."""
    from course.grade import coordinator  # not above: a worker, or a kernel's nursery, needs no nbgrader
    return coordinator.main(argv)
