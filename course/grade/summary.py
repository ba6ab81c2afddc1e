"""What report.html shows of the class as a whole: what to explain in the next lecture, and who needs a person."""
import collections
import statistics

MOST_MISTAKES = 15
# Who needs a person, by status, and what to do; the order is that of the report.
GROUPS = {
    "not graded": "Something went wrong here, not with the student. Run the same command again.",
    "unreadable": "Ask for the file again. This is no zero: there is no grade.",
    "missing": "Nothing that could be graded was handed in. There is no grade either.",
    "partly": "Some cells did not come to their end, or are missing. The points are those of the rest.",
    "several": "The latest notebook was taken. If it is the wrong one, leave only the right one and run again.",
}
FLAGGED = "The code does what an answer rarely needs, such as replacing a function. Read it: a flag takes no points."


def summary(rows):
    """rows: what `report.row_of` knows of each student -> what pages/report.html needs beside them."""
    graded = [row for row in rows if row["tests"]]
    groups = [(status, GROUPS[status], [row for row in rows if row["status"] == status]) for status in GROUPS]
    groups.append(("flagged", FLAGGED, [row for row in rows if row["flags"]]))
    times = [row["seconds"] for row in graded if row["seconds"] is not None]
    return {"graded": len(graded), "distribution": distribution(graded), "todos": todos(graded),
            "mistakes": mistakes(graded), "groups": [group for group in groups if group[2]],
            "late": sum(bool(row["late"]) for row in rows),
            "points": statistics.median(row["score"] for row in graded) if graded else None,
            "most": graded[0]["most"] if graded else None,
            "times": (statistics.median(times), max(times), sum(times)) if times else None}


def distribution(graded):
    """[(from, to, students)] for each tenth of the points, in percent."""
    tenths = collections.Counter(
        min(9, max(0, int(10 * row["score"] / row["most"]))) if row["most"] else 0 for row in graded)
    return [(10 * n, 10 * n + 10, tenths[n]) for n in range(10)]


def todos(graded):
    """[{name, right, known, unwritten, other}]: how many students each TODO's test left in which state."""
    counts = {}
    for row in graded:
        for test in row["tests"]:
            state = {"right": "right", "known mistake": "known", "not written": "unwritten"}.get(test["kind"], "other")
            counts.setdefault(test["name"], collections.Counter())[state] += 1
    return [{"name": name, **{state: count[state] for state in ("right", "known", "unwritten", "other")}}
            for name, count in counts.items()]


def mistakes(graded):
    """[{name, mistake, says, count}] of the most common mistakes that the checks know by name."""
    counts, says = collections.Counter(), {}
    for row in graded:
        for test in row["tests"]:
            if test["mistake"]:
                counts[test["name"], test["mistake"]] += 1
                says.setdefault((test["name"], test["mistake"]), test["says"])
    return [{"name": name, "mistake": mistake, "says": says[name, mistake], "count": count}
            for (name, mistake), count in counts.most_common(MOST_MISTAKES)]
