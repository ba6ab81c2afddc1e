"""Explorers: figures to play with, fed by the learner's own code. Each draws a figure where no widget can be shown."""
from .attention import attention

__all__ = ["attention"]
