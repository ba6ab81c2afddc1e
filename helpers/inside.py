"""Looking inside a TinyLLM: what each of its parts hands on, for one text."""
import dataclasses

import torch


@dataclasses.dataclass
class Inside:
    """What flowed through a model of N blocks and H heads for a text of T characters."""

    embedded: torch.Tensor  # (T, C): token embedding and position, added
    stream: list  # 1 + 2N tensors (T, C): the residual stream, at first and after each half of a block
    weights: list  # N tensors (H, T, T): each block's attention
    logits: torch.Tensor  # (T, V)


@torch.no_grad()
def look(model, ids):
    """Send ids, a list of T ids or a tensor (T,), through the learner's own parts one by one -> `Inside`.

    In evaluation mode; the model's own mode is put back. Raises `ValueError` for no ids and for more than `max_len`.
    """
    device = next(model.parameters()).device
    ids = torch.as_tensor(ids, device=device)
    if not 1 <= len(ids) <= model.max_len:
        raise ValueError(f"the text must have 1 to {model.max_len} characters; it has {len(ids)}")
    was_training = model.training
    model.eval()
    try:
        mask = torch.ones(len(ids), len(ids), dtype=torch.bool, device=device).tril()
        x = model.positional_encoding(model.token_embedding(ids[None]))  # (1, T, C)
        stream, weights = [x[0]], []
        for block in model.blocks:
            out, looked = block.attention(block.norm1(x), mask)
            x = x + out
            stream.append(x[0])
            x = x + block.feed_forward(block.norm2(x))
            stream.append(x[0])
            weights.append(looked[0])
        return Inside(stream[0], stream, weights, model(ids[None])[0])
    finally:
        model.train(was_training)


def encode(tokenizer, text):
    """The ids of `text`; a character that the tokenizer does not know is a `ValueError` with its name."""
    unknown = sorted(set(text) - set(tokenizer.chars))
    if unknown:
        raise ValueError(f"this model has never seen {unknown[0]!r}: use characters of the text that it was made for")
    return tokenizer.encode(text)
