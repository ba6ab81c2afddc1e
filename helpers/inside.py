"""Looking inside a TinyLLM: what each of its parts hands on, for one text."""
import contextlib
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
    with _evaluating(model):
        mask = torch.ones(len(ids), len(ids), dtype=torch.bool, device=device).tril()
        x = model.positional_encoding(model.token_embedding(ids[None]))  # (1, T, C)
        stream, weights = through(model.blocks, x, mask)
        return Inside(stream[0], stream, weights, model(ids[None])[0])


@contextlib.contextmanager
def _evaluating(model):
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def through(blocks, x, mask):
    """Send x (1, T, C) through N blocks: the residual stream, at first and after each half of a block, and the weights.

    Returns 1 + 2N tensors (T, C) and N tensors (H, T, T).
    """
    stream, weights = [x[0]], []
    for block in blocks:
        out, looked = block.attention(block.norm1(x), mask)
        x = x + out
        stream.append(x[0])
        x = x + block.feed_forward(block.norm2(x))
        stream.append(x[0])
        weights.append(looked[0])
    return stream, weights


def depths(blocks):
    """The names of the places in the residual stream: 1 + 2N str for N blocks."""
    return ["at first", *(f"block {i} {half}" for i in range(blocks) for half in ("attention", "feed-forward"))]


@torch.no_grad()
def lens(model, seen):
    """What the model would predict at each depth of `seen`, an `Inside` -> logits (1 + 2N, T, V).

    Its last norm and its head, which expect the end of the residual stream, are applied to every place in it. This is
    the logit lens (nostalgebraist, 2020).
    """
    logits = model.head(model.final_norm(torch.stack(seen.stream)))
    # A head that shares the embedding's weights may be followed by a factor in `forward`; otherwise this is 1.
    factor = (logits[-1] * seen.logits).sum() / logits[-1].square().sum()
    return factor * logits


@dataclasses.dataclass
class Part:
    """A part of a model, as a text passed it."""

    module: torch.nn.Module
    parameters: int
    takes: tuple = ()  # the shape of what goes in
    gives: tuple = ()  # and of what comes out


@dataclasses.dataclass
class Anatomy:
    """A model of N blocks: its parts in the order in which a text passes them, and the shapes that it had there."""

    ids: tuple  # (1, T)
    parts: dict  # name in the model, such as "blocks.0.norm1" -> Part
    blocks: int  # N
    num_heads: int
    max_len: int
    parameters: int  # of the whole model


@torch.no_grad()
def anatomy(model, ids):
    """Send ids, a list of T ids, through the whole model, and note what each part takes and gives -> `Anatomy`.

    Parameters that two parts share count for the first. Raises `ValueError` as `look` does.
    """
    halves = [f"blocks.{i}.{part}" for i in range(len(model.blocks))
              for part in ("norm1", "attention", "norm2", "feed_forward")]
    parts, counted, hooks = {}, set(), []
    for name in ("token_embedding", "positional_encoding", *halves, "final_norm", "head"):
        module = model.get_submodule(name)
        new = {p for p in module.parameters() if p not in counted}
        counted |= new
        part = parts[name] = Part(module, sum(p.numel() for p in new))

        def note(module, given, named, result, part=part):
            part.takes = tuple(next(iter((*given, *named.values()))).shape)
            part.gives = tuple((result[0] if isinstance(result, tuple) else result).shape)

        hooks.append(module.register_forward_hook(note, with_kwargs=True))
    try:
        heads = len(look(model, ids).weights[0])  # calls each part, also where a stand-in's block does not
        ids = torch.as_tensor(ids, device=next(model.parameters()).device)[None]  # (1, T)
        with _evaluating(model):
            model(ids)
    finally:
        for hook in hooks:
            hook.remove()
    return Anatomy(tuple(ids.shape), parts, len(model.blocks), heads, model.max_len,
                   sum(p.numel() for p in model.parameters()))


def encode(tokenizer, text):
    """The ids of `text`; a character that the tokenizer does not know is a `ValueError` with its name."""
    unknown = sorted(set(text) - set(tokenizer.chars))
    if unknown:
        raise ValueError(f"this model has never seen {unknown[0]!r}: use characters of the text that it was made for")
    return tokenizer.encode(text)
