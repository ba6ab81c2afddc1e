"""Explorers: figures to play with, fed by the learner's own code. Each draws a figure where no widget can be shown."""
from .attention import attention, sharpness
from .model import generation, next_character
from .tensors import broadcasting, matmul, strides
from .training import shifted

__all__ = ["attention", "broadcasting", "generation", "matmul", "next_character", "sharpness", "shifted", "strides"]
