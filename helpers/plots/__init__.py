
from .architecture import architecture
from .attention import attention_heads, attention_map, causal_mask, scale_effect
from .base import Picture, show, visible
from .blocks import gelu_relu, layer_norm, residual_gradients
from .comparison import expected_and_yours
from .embeddings import position_similarity, positional_encoding, positional_waves, similarity
from .learned import embedding_map, learned_when, surprise
from .model import logit_lens, next_characters, temperature
from .modules import fit, module_tree
from .tensors import broadcasting, split_heads, strides, tensor_grid
from .training import loss_curves, shifted_pair

__all__ = ["Picture", "architecture", "attention_heads", "attention_map", "broadcasting", "causal_mask",
           "embedding_map", "expected_and_yours", "fit", "gelu_relu", "layer_norm", "learned_when", "logit_lens",
           "loss_curves", "module_tree", "next_characters", "position_similarity", "positional_encoding",
           "positional_waves", "residual_gradients", "scale_effect", "shifted_pair", "show", "similarity",
           "split_heads", "strides", "surprise", "temperature", "tensor_grid", "visible"]
