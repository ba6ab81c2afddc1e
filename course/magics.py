"""IPython's own lines in a student's cell - !pip install, %timeit, print? - which are not run while grading."""
import ast
import re
import warnings

from IPython.core import inputtransformer2 as ipython

OF_A_CELL = re.compile(r"\A(\s*)(%%.*)")  # %%time on top of a cell
NO_PYTHON = re.compile(  # on top of a cell that is not for this notebook's Python: a file, a page, another program
    r"\A\s*%%(!|HTML|SVG|bash|cmd|file|html|javascript|js|latex|markdown|perl|pypy|python[23]?|ruby|script|sh|svg|sx"
    r"|system|writefile)(\s|\Z)")
MOST = 200  # such lines in one cell; each one takes a look at the whole cell


def plain_python(source):
    """The cell with `pass` in the place of IPython's own lines; of `%time x = f()` the statement stays.

    A cell that is Python without them is left as it is: a line that begins with % may be the rest of a formula.
    """
    if is_python(source):
        return source
    if NO_PYTHON.match(source):
        return "".join(f"# not run while grading: {line}" for line in source.splitlines(keepends=True))
    source = OF_A_CELL.sub(r"\1pass  # not run while grading: \2", source)
    lines = source.splitlines(keepends=True)
    for _ in range(MOST):
        place = first_of_ipython(lines)
        if place is None:
            break
        first, last = place
        text = "".join(lines[first: last + 1])
        indent = re.match(r"\s*", text)[0]
        timed = re.match(r"\s*%time\s+(\w.*)", text, re.DOTALL)
        lines[first: last + 1] = [
            f"{indent}{timed[1]}" if timed else f"{indent}pass  # not run while grading: {' '.join(text.split())}\n"]
    return "".join(lines)


def first_of_ipython(lines):
    """(first, last) line of the first of IPython's own statements, counted from 0; None if there is none."""
    tokens = ipython.make_tokens_by_line(lines)
    for kind in (ipython.EscapedCommand, ipython.MagicAssign, ipython.SystemAssign, ipython.HelpEnd):
        found = kind.find(tokens)
        if found is not None:
            end = found.q_line if kind is ipython.HelpEnd else ipython.find_end_of_continued_line(
                lines, found.start_line)
            return found.start_line, end
    return None


def is_python(source):
    """Whether Python alone can read it."""
    try:
        parse(source)
    except ValueError:
        return False
    return True


def parsed(source):
    """The syntax tree of a cell as IPython understands it, without prompts and indents that were pasted along.

    Raises ValueError where there is none.
    """
    try:
        return parse(ipython.TransformerManager().transform_cell(plain_python(source)))
    except (SyntaxError, RuntimeError, RecursionError, MemoryError) as problem:
        raise ValueError(str(problem)) from None


def parse(source):
    """ast.parse, whose only error is ValueError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a string is not ours to judge
            return ast.parse(source)
    except (SyntaxError, RecursionError, MemoryError) as problem:
        raise ValueError(str(problem)) from None
