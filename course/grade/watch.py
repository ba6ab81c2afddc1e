"""What a student's code may have changed in the running kernel: looked at before it, and after each of its cells.

`LOOK` runs in the kernel, silently. It answers with one number per function that the tests rely on; a number that
changes means that somebody put another function there. This raises a flag for a person to look at, never a zero:
whoever shares an interpreter with the tests can also lie to this.
"""
LOOK = """
def _look():
    import builtins, io, sys, threading
    import torch
    from torch.nn import functional
    def number(thing):
        code = getattr(thing, "__code__", None)
        return (id(thing), id(code), id(getattr(thing, "__defaults__", None)))
    seen = {}
    def look(name, space, only=None):
        for key in sorted(only or space):
            thing = space.get(key)
            if callable(thing):
                seen[f"{name}.{key}"] = number(thing)
    look("builtins", vars(builtins), [k for k in vars(builtins) if not k.startswith("_") or k == "__import__"])
    look("torch", vars(torch), ["allclose", "equal", "isclose", "manual_seed", "tensor", "randn", "no_grad", "all"])
    look("torch.testing", vars(torch.testing), ["assert_close"])
    look("torch.Tensor", vars(torch.Tensor), ["__eq__", "__bool__", "__lt__", "__gt__", "__le__", "__ge__", "item"])
    look("torch.nn.functional", vars(functional), ["cross_entropy", "softmax", "scaled_dot_product_attention"])
    for name, module in list(sys.modules.items()):
        if name.startswith("helpers.checks"):
            look(name, vars(module))
            for key, thing in vars(module).items():
                if isinstance(thing, type) and getattr(thing, "__module__", "").startswith("helpers"):
                    look(f"{name}.{key}", vars(thing))
    shell = get_ipython()
    for name, things in {
        "IPython's transformers": shell.ast_transformers + shell.input_transformers_post
            + shell.input_transformer_manager.cleanup_transforms + shell.input_transformer_manager.line_transforms,
        "IPython's events": [f for fs in shell.events.callbacks.values() for f in fs],
        "IPython's methods": [shell.run_cell, shell.run_code, shell.run_ast_nodes, shell.compile, shell.showtraceback],
        "the tracing": [sys.gettrace(), sys.getprofile(), threading.gettrace()],
        "the hooks": [sys.excepthook, sys.displayhook, sys.meta_path[0]],
    }.items():
        seen[name] = tuple(number(getattr(thing, "__func__", thing)) for thing in things)
    import hashlib
    return {name: hashlib.sha256(repr(numbers).encode()).hexdigest()[:12] for name, numbers in seen.items()}
"""


def differences(before, after):
    """The names whose function is not the one that was there."""
    return sorted(name for name, number in before.items() if after.get(name) != number)
