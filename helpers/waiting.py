"""What a notebook says when something is not there yet.

A cell that needs an unfinished TODO, or a name from a cell that has not run (after a restart, say), still fails:
Jupyter and the grader see an error. Only its last line becomes one that helps:

    NotImplementedError: TODO 11
    NotImplementedError: waiting for TODO 11 (this cell uses `weights`, which it makes)
    NameError: name 'SelfAttention' is not defined. If a cell above makes it, run that one first ...

And a check that fails shows the learner's own lines, not those of the check.
"""
import ast
import re
import types
from pathlib import Path

AFTER_RESTART = ("If a cell above makes it, run that one first (after a restart: menu Run, 'Run All Above Selected "
                 "Cell').")
CHECKS = str(Path(__file__).parent / "checks")
pending = {}  # name -> number of the TODO whose absence kept a cell from making it


def install():
    """Explain missing pieces in this notebook from now on; does nothing outside IPython."""
    try:
        shell = get_ipython()  # IPython puts it among the builtins
    except NameError:
        return
    load_ipython_extension(shell)


def load_ipython_extension(shell):
    """IPython's entry point: the course's own environment loads this when a kernel starts."""
    shell.set_custom_exc((NotImplementedError, NameError, AssertionError), explain)


def explain(shell, kind, error, trace, tb_offset=None):
    """Show `error`, reworded where a missing TODO or cell is the reason."""
    todo = re.match(r"(?:waiting for )?TODO (\d+)", str(error))
    todo = todo and todo.group(1)
    name = re.match(r"name '(\w+)' is not defined", str(error))
    name = name and name.group(1)
    if name in pending:
        todo = pending[name]
        error = NotImplementedError(f"waiting for TODO {todo} (this cell uses `{name}`, which it makes)")
    elif name:
        error = NameError(f"{error}. {AFTER_RESTART}")
    if todo:  # the cells below will miss what this one did not make
        made = names_made((shell.user_ns.get("In") or [""])[-1])
        pending.update({name: todo for name in made if name not in shell.user_ns})
    shell.showtraceback((type(error), error, without_checks(trace)), tb_offset=tb_offset)


def without_checks(trace):
    """A traceback without the lines that belong to helpers/checks."""
    steps = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(CHECKS):
            steps.append(trace)
        trace = trace.tb_next
    shorter = None
    for step in reversed(steps):
        shorter = types.TracebackType(shorter, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return shorter


def names_made(source):
    """The names that a cell's own lines assign, import or define.

    >>> sorted(names_made("import math\\nx, y = f()"))
    ['math', 'x', 'y']
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a cell with a magic
        return set()
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
    return names
