"""What a person wrote, found again in a notebook, whatever became of the notebook's cells and marks."""
import ast
import hashlib
import re

MISSING = "the cell is missing"  # what is said of an answer that is not there
SHELL = re.compile(r"^(\s*)([!%].*)$", re.MULTILINE)  # IPython's own lines


def kind(cell):
    """"solution", "test", "locked" or "" for a cell of the course."""
    mark = cell.metadata.get("nbgrader", {})
    return "test" if mark.get("grade") else "solution" if mark.get("solution") else "locked" if mark else ""


def plain(cell):
    """What is of use in a student's cell, whatever types its parts have."""
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    mark = metadata.get("nbgrader") if isinstance(metadata.get("nbgrader"), dict) else {}
    source = cell.get("source", "")
    source = "".join(map(str, source)) if isinstance(source, list) else str(source)
    return {"id": str(cell.get("id", "")), "grade_id": str(mark.get("grade_id", "")), "source": source,
            "type": str(cell.get("cell_type", ""))}


def find(grade_id, stub, theirs, known, used):
    """A student's answer to one solution cell -> (source or None, the places it came from, a note or None)."""
    free = [n for n in range(len(theirs)) if n not in used]
    wanted = names_of(stub)
    marked = [n for n in free if theirs[n]["grade_id"] == grade_id]
    if len(marked) == 1:
        cell = theirs[marked[0]]
        whole = joined_with_followers(marked[0], theirs, wanted, known)
        if whole:
            places = list(range(marked[0], marked[0] + whole))
            return "\n".join(theirs[n]["source"] for n in places), places, "the cell was split; its parts were joined"
        if cell["type"] != "code":
            return cell["source"], marked, f"the cell was a {cell['type']} cell; it was run as code"
        return cell["source"], marked, None
    if len(marked) > 1:
        texts = [theirs[n]["source"] for n in marked]
        answered = [n for n in marked if wanted <= names_of(theirs[n]["source"])
                    and theirs[n]["source"].strip() != stub.strip()]
        joined = "\n".join(texts)
        if not answered and wanted <= names_of(joined):
            return joined, marked, "the cell was split; its parts were joined"
        if answered:
            return theirs[answered[-1]]["source"], marked, (
                f"there were {len(marked)} cells of this name; the last answered one was taken")
        return texts[-1], marked, f"there were {len(marked)} cells of this name; the last one was taken"
    same = [n for n in free if theirs[n]["id"] == grade_id]
    if same:
        return theirs[same[-1]]["source"], same, "its nbgrader mark was missing; it was found by its id"
    defines = [n for n in free if theirs[n]["type"] == "code" and wanted and wanted <= names_of(theirs[n]["source"])
               and theirs[n]["grade_id"] not in known]
    if defines:
        best = [n for n in defines if theirs[n]["source"].strip() != stub.strip()] or defines
        return theirs[best[-1]]["source"], [best[-1]], (
            f"its nbgrader mark was missing; it was found because it defines {', '.join(sorted(wanted))}")
    return None, [], MISSING


def joined_with_followers(first, theirs, wanted, known):
    """How many cells, from `first` on, make the whole answer, if the first alone is only a part of it; else 0."""
    if wanted <= names_of(theirs[first]["source"]) or not wanted:
        return 0
    for count in range(2, 6):
        following = theirs[first + 1: first + count]
        if len(following) < count - 1 or any(c["type"] != "code" or c["grade_id"] for c in following):
            return 0
        if wanted <= names_of("\n".join(c["source"] for c in theirs[first: first + count])):
            return count
    return 0


def names_of(source):
    """The functions and classes that a cell defines, a method as "Class.method"; nothing if it is not Python."""
    try:
        tree = ast.parse(SHELL.sub(r"\1pass", source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
    return found


def digest(source):
    """Eight characters that change when a cell's text does: the ids of the course's texts and examples end with it."""
    return hashlib.sha256(source.encode()).hexdigest()[:8]


def as_released(cell):
    """Whether a cell is the course's own and nobody has changed its text since.

    A graded or locked cell says so by nbgrader's checksum, any other by its id.
    """
    mark = cell.metadata.get("nbgrader")
    if mark:  # what nbgrader.utils.compute_checksum does; Colab has no nbgrader
        text = cell.source + cell.cell_type
        text += "".join(str(bool(mark.get(key))) for key in ("grade", "solution", "locked")) + str(mark.get("grade_id"))
        text += str(float(mark["points"])) if mark.get("grade") else ""
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() == mark.get("checksum")
    type_, _, rest = cell.get("id", "").partition("-")
    return type_ in ("text", "code") and rest.split("-")[0] == digest(cell.source)
