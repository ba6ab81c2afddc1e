"""What a student's code may have changed in the running kernel: looked at before it, and after each of its cells.

`LOOK` runs in the kernel, silently. It answers with one number for each thing that the tests rely on; a number that
changes means that somebody put something else there. `canary` calls a check with nonsense, which must fail. Both raise
a flag for a person to look at, never a zero: whoever shares an interpreter with the tests can also lie to these.
"""
import ast

LOOK = """
def _look(used):
    import builtins, hashlib, sys, threading
    import torch
    shell = get_ipython()
    def number(thing):
        while hasattr(thing, "__wrapped__") and (
                getattr(thing, "__globals__", {}).get("__name__", "").startswith("torch.")):
            thing = thing.__wrapped__  # PyTorch wraps some of its own functions when they are first used
        return (id(thing), id(getattr(thing, "__code__", None)), id(getattr(thing, "__defaults__", None)))
    def functions(space):
        return [thing for key, thing in sorted(space.items()) if callable(thing)]
    spaces = {"torch": {key: vars(torch)[key] for key in torch.__all__}, "Python's own functions": vars(builtins)}
    for name in ("torch.nn", "torch.nn.functional", "torch.nn.init", "torch.optim", "torch.optim.lr_scheduler",
                 "torch.utils.data", "torch.testing", "math", "random", "copy"):
        spaces[name] = vars(sys.modules[name])
    for name in ("helpers.checks", "helpers.oracle", "helpers.parts"):
        spaces |= {key: vars(module) for key, module in list(sys.modules.items()) if key.startswith(name)}
    things = {f"torch.{key}": [vars(torch)[key]] for key in ("allclose", "equal", "isclose", "manual_seed")}
    things["torch.Tensor"] = functions(vars(torch.Tensor))
    for name, space in spaces.items():
        things[name] = functions(space)
        for kind in things[name][:]:
            if isinstance(kind, type) and kind.__module__.startswith(("torch.", "helpers.")):
                things[name] += functions(vars(kind))
    things["IPython's transformers"] = (
        shell.ast_transformers + shell.input_transformers_post + shell.input_transformer_manager.cleanup_transforms
        + shell.input_transformer_manager.line_transforms + shell.input_transformer_manager.token_transformers)
    things["IPython's events"] = [f for fs in shell.events.callbacks.values() for f in fs]
    things["IPython's methods"] = [
        shell.run_cell, shell.run_code, shell.run_ast_nodes, shell.compile, shell.showtraceback]
    things["the tracing"] = [sys.gettrace(), sys.getprofile(), threading.gettrace()]
    things["the hooks"] = [sys.excepthook, sys.displayhook, sys.meta_path[0]]
    for key in used:
        things[f"the name {key}"] = [shell.user_ns.get(key, vars(builtins).get(key))]
    seen = {name: [number(getattr(one, "__func__", one)) for one in some] for name, some in things.items()}
    return {name: hashlib.sha256(repr(numbers).encode()).hexdigest()[:12] for name, numbers in seen.items()}
"""

# Before an answer's cell: the course's stand-in for what it is to define is neither the answer nor a part of it.
FORGET = """
for _name in {names}:
    if getattr(globals().get(_name), "__module__", "") == "helpers.oracle":
        del globals()[_name]
"""


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


def canary(test):
    """A test's checks, called with nonsense: code that must end in an AssertionError; "" for a test without a check."""
    calls = [node for node in nodes([test]) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
             and ast.unparse(node.func).startswith("checks.todo_")]
    return "\n".join(f"{ast.unparse(call.func)}({', '.join(['object'] * len(call.args))})" for call in calls[:1])


def nodes(sources):
    for source in sources:
        yield from ast.walk(ast.parse(source))
