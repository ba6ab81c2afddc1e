"""The pieces as the sources' own solutions write them, without a notebook: what `bench` and `search` work with."""
import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from course import PHASES
from course.build import source_notebook
from course.solve import MARKER


def cells():
    """The sources of all solution cells, in the order of the TODOs."""
    return [MARKER.sub("", cell.source).strip("\n") for phase in PHASES for cell in source_notebook(phase).cells
            if cell.metadata.get("nbgrader", {}).get("solution")]


def pieces():
    """All pieces (`TinyLLM`, `train`, ...) as attributes; they use each other, as a learner's own do in the end."""
    space = {"math": math, "torch": torch, "nn": nn, "F": F}
    for source in cells():
        exec(source, space)
    return SimpleNamespace(**{name: value for name, value in space.items() if not name.startswith("_")})
