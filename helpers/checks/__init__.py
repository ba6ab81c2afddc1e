"""The checks a notebook calls: checks.todo_11(SelfAttention) says what is wrong, or that all is well.

Each file below holds the checks of one notebook, or of a part of it, each with its table of known mistakes. engine.py
is what they share; guard.py and compare.py are what it stands on.
"""
from helpers.checks.attention import todo_10, todo_11, todo_12, todo_13
from helpers.checks.block import todo_16, todo_17
from helpers.checks.dataset import todo_25, todo_26, todo_27
from helpers.checks.embeddings import todo_6, todo_7, todo_8, todo_9
from helpers.checks.evaluation import todo_29
from helpers.checks.feed_forward import todo_14, todo_15
from helpers.checks.generation import todo_20
from helpers.checks.model import todo_18, todo_19, todo_21
from helpers.checks.modules import todo_4, todo_5
from helpers.checks.tensors import todo_1, todo_2, todo_3
from helpers.checks.text import todo_31
from helpers.checks.tokenizer import todo_22, todo_23, todo_24
from helpers.checks.training_loop import todo_30
from helpers.checks.training_step import todo_28

__all__ = [
    "todo_1", "todo_2", "todo_3", "todo_4", "todo_5", "todo_6", "todo_7", "todo_8",
    "todo_9", "todo_10", "todo_11", "todo_12", "todo_13", "todo_14", "todo_15", "todo_16",
    "todo_17", "todo_18", "todo_19", "todo_20", "todo_21", "todo_22", "todo_23", "todo_24",
    "todo_25", "todo_26", "todo_27", "todo_28", "todo_29", "todo_30", "todo_31",
]
