"""The small trained model of `0_welcome`: to play with, before the learner has built one.

Its layers are PyTorch's own (`helpers.oracle`), its weights come from the course's recipe, and no other notebook uses
it: `python3 -m course welcome` makes the file again.
"""
import torch

from . import data, oracle

FILE = data.DATA / "welcome_model.pt"


def load(file=FILE, trained=True):
    """The model and its tokenizer: (TinyLLM, CharTokenizer); with `trained=False`, as it was before its first step.

    `weights_only=True` lets the file bring numbers and text, but no code. In the file the weights are float16, which
    halves its size; here they are float32. Raises `ValueError` with a sentence where the file is missing or damaged.
    """
    try:
        kept = torch.load(file, weights_only=True, map_location="cpu")
        tokenizer = oracle.CharTokenizer(kept["characters"])
        model = oracle.TinyLLM(tokenizer.vocab_size, **kept["model"])
        if trained:
            model.load_state_dict({name: weight.float() for name, weight in kept["weights"].items()})
    except Exception as error:  # a damaged file fails in many ways, and none of their messages would help
        raise ValueError(f"{file} is missing or damaged ({type(error).__name__}): get it again from the course's "
                         "repository, or make it with `python3 -m course welcome`") from None
    return model.eval(), tokenizer
