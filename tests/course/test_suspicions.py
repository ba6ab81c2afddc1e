"""The scan of a student's code: ordinary answers raise no flag, and what can deceive a test does."""
import ast
import inspect
import textwrap

import pytest
from answers import cases

from course.grade.suspicions import suspicions


def test_right_answers_raise_no_flag():
    """All of the bank's right answers, however they are written."""
    flagged, count = {}, 0
    for todo in range(1, 32):
        for answer in cases(todo):
            if answer.kind == "right":
                tree = ast.parse(textwrap.dedent(inspect.getsource(answer.make)))
                tree.body[0].decorator_list = []
                flagged[str(answer)], count = suspicions({"it": ast.unparse(tree)}), count + 1
    assert count > 150 and not {name: flags for name, flags in flagged.items() if flags}


ORDINARY = """
import torch.nn as nn, torch.nn.functional as F, math, copy, numpy as np, matplotlib.pyplot as plt
from torch import nn, Tensor
from torch.utils.data import Dataset, DataLoader
from functools import partial, wraps
from dataclasses import dataclass
from time import time as now
from datetime import datetime
from torch.nn.parameter import Parameter
import time, random
from helpers import checks, data, plots
F = torch.nn.functional
torch.backends.cudnn.deterministic = True
torch.linalg.norm(x), torch.cuda.is_available(), torch.autograd.gradcheck(f, x)
np.linalg.norm(x), torch.nn.functional.relu(x), torch.special.expit(x)
plt.rcParams["figure.figsize"] = (3, 3)
model.blocks[0].attention.q_proj.weight.data.fill_(1)
print(torch, x.__class__.__name__, torch.select(x, 0, 1), model.eval(), input("?"))
for _i in range(3): print(_i)
checks.todo_4(TwoLayerNet)
torch.softmax?
%timeit model(x)
started = time.time(), datetime.now(), random.random(), copy.copy(x), np.copy(x), np.random.random(3)
class Net(nn.Module):
    __slots__ = ()
    def __init__(self):
        for name in "qkv":
            setattr(self, f"{name}_proj", nn.Linear(1, 1))
        self.layer = getattr(self, f"{name}_proj")
    def __len__(self): return len(self.__dict__)
    def forward(self, x):
        B, T, F = x.shape
        parts = [x]
        return parts, F
"""


def test_ordinary_code_raises_no_flag():
    assert suspicions({"it": ORDINARY}) == []


@pytest.mark.parametrize("code, names", [
    ("checks = 3", "checks"), ("for checks in [1]: pass", "checks"), ("(checks := 3)", "checks"),
    ("import math as checks", "checks"), ("def f():\n    global checks", "checks"),
    ("match 1:\n    case checks: pass", "checks"), ("try: f()\nexcept Exception as checks: pass", "checks"),
    ("torch.allclose = f", "torch.allclose"), ("del torch.allclose", "torch.allclose"),
    ("import torch as t\nt.allclose = f", "t.allclose"), ("x = [torch][0]\nx.allclose = f", "torch"),
    ("def f(t): t.allclose = g\nf(torch)", "torch"), ("[nn.Linear][0].forward = f", "forward"),
    ("def f():\n    torch.allclose = 1\n    def g(): torch = 2", "torch.allclose"),
    ("class E:\n    __eq__ = lambda a, b: True", "__eq__"), ("type('E', (), dict(__eq__=f))", "__eq__"),
    ("f.__globals__", "__globals__"), ("'{0.__globals__}'.format(f)", "__globals__"),
    ("match f:\n    case object(__globals__=g): pass", "__globals__"),
    ("import string\nstring.Formatter().get_field(name, (f,), {})", "get_field"),
    ("import functools\nfunctools.update_wrapper(f, g, names)", "update_wrapper"),
    ("from functools import *\nupdate_wrapper(f, g, names)", "update_wrapper"),
    ("from functools import wraps\nwraps(f, names)", "wraps"), ("import typing\ntyping.get_type_hints(f)", "hints"),
    ("getattr(f, '__glo' + 'bals__')", "getattr"), ("def f(self):\n    return getattr(self, name)", "getattr"),
    ("def f(self):\n    return getattr(self.forward, '_' + name)", "getattr"),
    ("import enum\nenum.bltns.exec(text)", "bltns"), ("import re\nre.copyreg.pickle(a, b)", "copyreg"),
    ("sys.modules", "sys"), ("import numpy as np\nnp.testing.runstring(text, {})", "runstring"),
    ("import IPython.display\nIPython.get_ipython()", "get_ipython"), ("torch.hub.load(x)", "hub"),
    ("import helpers\nhelpers.oracle.TwoLayerNet", "oracle"), ("parts.get('TwoLayerNet')", "parts.get('TwoLayerNet')"),
    ("get = parts.get", "parts.get"), ("from helpers import parts", "parts"), ("checks.engine", "engine"),
    ("import helpers.checks.engine", "engine"), ("!ls\rimport os", "os"), ("x = 1\nimport os", "os"),
    ("\uff47etattr(f, n)", "getattr"), ("async def f(): pass", "async"), ("nn.Module._call_impl", "_call_impl"),
    ("'{0.gi_frame.f_back}'.format(f)", "gi_frame"), ("from __future__ import barry_as_FLUFL", "barry"),
    ("if False:\n    import math as parts\nparts.get('TwoLayerNet')", "parts.get('TwoLayerNet')"),
    ("def f(parts=parts.get('TwoLayerNet')): pass", "parts.get('TwoLayerNet')"),
    ("[parts for parts in [parts.get('TwoLayerNet')]]", "parts.get('TwoLayerNet')"),
    ("import IPython.display\nIPython.utils.importstring.import_item(name)", "IPython.utils"),
    ("import matplotlib\n[c] = [matplotlib.cbook]", "matplotlib.cbook"), ("widgets.blocks.inside", "widgets.blocks"),
    ("torch.zeros(1).apply_(f)", "apply_"),
    ("torch.optim.optimizer.register_optimizer_step_post_hook(f)", "register_optimizer"),
])
def test_what_can_deceive_a_test_raises_a_flag(code, names):
    flags = suspicions({"it": code.replace("\r", "\n")})
    assert any(names in flag for flag in flags), flags


def test_names_are_followed_from_cell_to_cell():
    assert suspicions({"one": "import torch as t", "two": "t.allclose = f"})


@pytest.mark.parametrize("code", ["def f(:", "(" * 500, "-" * 50_000 + "1", "torch" + ".a" * 5000 + " = 1", "\ud800"])
def test_odd_code_does_not_stop_it(code):
    assert isinstance(suspicions({"it": code}), list)
