"""What the grader asks inside a student's kernel (inside.py), and what it makes of the answers.

Whatever it finds raises a flag for a person to look at, never a zero: whoever shares an interpreter with the tests can
also lie to these.
"""
import ast
from pathlib import Path

INSIDE = (Path(__file__).parent / "inside.py").read_text(encoding="utf-8")
MAKE = f"""
import sys, types
sys.modules["grading"] = types.ModuleType("grading")
exec(compile({INSIDE!r}, "grading", "exec"), vars(sys.modules["grading"]))
"""
ASK = "__import__('sys').modules['grading'].{}"  # a student's cell may have taken any other name


def differences(before, after):
    """The names under which there is not what was there."""
    if not after:
        return ["the watch itself"]
    return sorted(name for name, number in before.items() if after.get(name) != number)


def used_by(tests, answers):
    """The names that the tests use and that no answer is to define: source texts -> sorted names."""
    everything, names = list(nodes(answers + tests)), {node.id for node in nodes(tests) if isinstance(node, ast.Name)}
    names -= {node.name for node in everything if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names -= {node.arg for node in everything if isinstance(node, ast.arg)}
    names -= {node.id for node in everything if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return sorted(names)


def nodes(sources):
    for source in sources:
        yield from ast.walk(ast.parse(source))
