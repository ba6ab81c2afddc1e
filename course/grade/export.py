"""The forms that an LMS imports grades from. Whoever has no grade is left out, so that nothing is overwritten there.

Canvas: its gradebook's own CSV. It finds a student by ID or, without one, by name, and the assignment by its title.
Moodle: the assignment's offline grading worksheet. It finds a participant by the number in the name of the submission's
folder; a grade that Moodle has already is replaced only where "update records that have been modified" is ticked.
"""
import html


def canvas(rows, phase):
    """Rows for canvas.csv. Rename the last column where the assignment is not called like the phase."""
    yield ["Student", "ID", "Section", phase]
    for row in graded(rows):
        yield [row["name"], row["lms"], "", row["score"]]


def moodle(rows):
    """Rows for moodle.csv, of those who have a number in Moodle."""
    yield ["Identifier", "Full name", "Grade", "Maximum Grade", "Last modified (grade)", "Feedback comments"]
    for row in graded(rows):
        if row["lms"]:
            yield [f"Participant {row['lms']}", row["name"], row["score"], row["most"], "-", html.escape(comment(row))]


def graded(rows):
    return (row for row in rows if row["score"] is not None)


def comment(row):
    """Each TODO's points and mistake, in one line."""
    parts = [f"{test['name']}: {test['score']:g} of {test['most']:g}" + f" ({test['mistake']})" * bool(test["mistake"])
             for test in row["tests"]]
    parts += [f"late: {row['penalty']:g} off"] if row["penalty"] else []
    return "; ".join(parts)
