"""What a person wrote, found again in a notebook, whatever became of the notebook's cells and marks."""
import ast
import functools
import hashlib

from course.magics import parsed

MISSING = "the cell is missing"  # what is said of an answer that is not there


def kind(cell):
    """"solution", "test", "locked" or "" for a cell of the course."""
    mark = cell.metadata.get("nbgrader", {})
    return "test" if mark.get("grade") else "solution" if mark.get("solution") else "locked" if mark else ""


def plain(cell):
    """What is of use in a student's cell, whatever types its parts have."""
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    mark = metadata.get("nbgrader") if isinstance(metadata.get("nbgrader"), dict) else {}
    return {"id": text_of(cell.get("id") or metadata.get("id")),  # Colab keeps it in the metadata
            "grade_id": text_of(mark.get("grade_id")), "source": text_of(cell.get("source")),
            "type": text_of(cell.get("cell_type"))}


def text_of(value):
    """A text, or a list of lines, as one text that can be written to any file, with Unix' ends of lines."""
    text = "".join(line for line in value if isinstance(line, str)) if isinstance(value, list) else value
    if not isinstance(text, str):
        return ""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")


def find(grade_id, stub, theirs, used):
    """A student's answer to one solution cell -> (source or None, the places it came from, a note or None).

    theirs: the student's cells, each as `plain` gives it; used: the places of those that answer other cells
    """
    free = [n for n in range(len(theirs)) if n not in used]
    wanted = names_of(stub)
    marked = [n for n in free if theirs[n]["grade_id"] == grade_id]
    if len(marked) == 1:
        cell = theirs[marked[0]]
        places = joined_with_followers(marked[0], theirs, wanted)
        if places:
            return "\n".join(theirs[n]["source"] for n in places), places, "the cell was split; its parts were joined"
        if cell["type"] != "code":
            return cell["source"], marked, f"the cell was a {cell['type']} cell; it was run as code"
        return cell["source"], marked, None
    if len(marked) > 1:
        texts = [theirs[n]["source"] for n in marked]
        answered = [n for n in marked if wanted <= names_of(theirs[n]["source"])
                    and theirs[n]["source"].strip() != stub.strip()]
        if answered:
            return theirs[answered[-1]]["source"], answered[-1:], (
                f"there were {len(marked)} cells of this name; the last answered one was taken")
        if wanted <= names_of("\n".join(texts)) and not wanted <= names_of(texts[-1]):
            return "\n".join(texts), marked, "the cell was split; its parts were joined"
        return texts[-1], marked[-1:], f"there were {len(marked)} cells of this name; the last one was taken"
    same = [n for n in free if theirs[n]["id"] == grade_id]
    if same:
        return theirs[same[-1]]["source"], same, "its nbgrader mark was missing; it was found by its id"
    defines = [n for n in range(len(theirs)) if theirs[n]["type"] == "code" and wanted
               and wanted <= names_of(theirs[n]["source"])]
    answered = [n for n in defines if theirs[n]["source"].strip() != stub.strip()]
    best = [n for n in answered if n in free] or [n for n in defines if n in free] or answered
    if best:
        return theirs[best[-1]]["source"], [n for n in best[-1:] if n in free], (
            f"its nbgrader mark was missing; it was found because it defines {', '.join(sorted(wanted))}")
    return None, [], MISSING


def joined_with_followers(first, theirs, wanted):
    """The places of the cells, from `first` on, that make the whole answer, if the first alone is a part of it."""
    places = [first]
    if wanted <= names_of(theirs[first]["source"]):
        return []
    for n in range(first + 1, min(first + 8, len(theirs))):
        if theirs[n]["grade_id"]:
            return []
        if theirs[n]["type"] == "code" and theirs[n]["source"].strip():
            places.append(n)
            if wanted <= names_of("\n".join(theirs[p]["source"] for p in places)):
                return places
    return []


@functools.lru_cache(maxsize=2000)
def names_of(source):
    """The functions and classes that a cell defines, a method as "Class.method"; nothing if it is not Python."""
    try:
        tree = parsed(source)
    except ValueError:
        return frozenset()
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
    return frozenset(found)


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
