"""Explorers: figures to play with, fed by the learner's own code. Each draws a figure where no widget can be shown."""
from .attention import attention, sharpness
from .blocks import gelu_relu, gradients, layer_norm, residual
from .embeddings import position_similarity, positions, waves
from .model import architecture, generation, logit_lens, next_character
from .modules import fit_history, module_tree
from .tensors import broadcasting, matmul, strides
from .training import embedding_map, learned_when, shifted, surprise

__all__ = [
    "architecture", "attention", "broadcasting", "embedding_map", "fit_history", "gelu_relu", "generation", "gradients",
    "layer_norm", "learned_when", "logit_lens", "matmul", "module_tree", "next_character", "position_similarity",
    "positions", "residual", "sharpness", "shifted", "strides", "surprise", "waves",
]
