"""Writing text faster: the learner's `generate`, with a memory for keys and values.

`generate` reads the whole text again for each new character. But a character that is already there has the same key
and the same value as before: nothing after it can change them, because attention only looks back. `generate` here
computes each of them once and keeps them, up to the model's `max_len`. It does the arithmetic of a `TinyLLM` itself,
from the learner's weights, because for a single position most of the time goes into calling modules.
"""
import torch
import torch.nn.functional as F


@torch.no_grad()
def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
    """What the learner's `generate` does, with the same arguments, for the learner's own `TinyLLM`.

    ids (B, T) -> (B, T + max_new_tokens). With temperature 0 the result is the same, id for id; otherwise it is drawn
    from the same distribution. Once the text is longer than `model.max_len` every position gets another place with
    each new character, so that nothing can be kept: from there on it is as slow as the learner's own.
    Raises `ValueError` for an empty prompt, top_k < 1, and a negative max_new_tokens or temperature.
    """
    if max_new_tokens < 0 or temperature < 0 or (top_k is not None and top_k < 1) or ids.shape[1] == 0:
        raise ValueError(f"the prompt needs at least one id (it has {ids.shape[1]}), max_new_tokens ({max_new_tokens}) "
                         f"and temperature ({temperature}) must not be negative, top_k ({top_k}) must be at least 1")
    was_training = model.training
    model.eval()
    try:
        memory = Memory(model, len(ids))
        own = model(ids[:, -model.max_len:])[:, -1]  # (B, V): for the character after the last one
        keeps = ids.shape[1] <= model.max_len and torch.allclose(memory.logits(ids), own, rtol=1e-3, atol=1e-4)
        for new in range(max_new_tokens):
            if keeps and ids.shape[1] <= model.max_len:
                logits = memory.logits(ids)
            else:  # also for a model whose forward does more than the course's
                logits = own if new == 0 else model(ids[:, -model.max_len:])[:, -1]
            ids = torch.cat([ids, pick(logits, temperature, top_k)], dim=1)
    finally:
        model.train(was_training)
    return ids


def pick(logits, temperature, top_k):
    """The next id for each row: logits (B, V) -> (B, 1)."""
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    if temperature == 0:
        return logits.argmax(dim=-1, keepdim=True)
    return torch.multinomial((logits / temperature).softmax(dim=-1), num_samples=1)


def linear(x, weight, bias):
    """`F.linear`; for a single position as matrix times vector, which takes a fraction of the time."""
    if x.numel() > x.shape[-1]:
        return F.linear(x, weight, bias)
    return torch.addmv(bias, weight, x.reshape(-1)).view(*x.shape[:-1], -1)


class Memory:
    """The keys and values of all characters so far, and the model's weights, laid out for one position at a time."""

    def __init__(self, model, batch):
        self.model = model
        self.seen = 0  # characters whose keys and values are there
        channels = model.final_norm.normalized_shape[0]
        some = model.final_norm.weight.new_zeros(1, model.max_len, channels)
        self.places = model.positional_encoding(some)  # (1, max_len, C): the position alone
        self.layers = []
        for block in model.blocks:
            a = block.attention
            heads = a(some[:, :1])[1].shape[1]  # its weights are (B, H, T, T): whatever it calls that number
            keys = some.new_empty(2, batch, heads, model.max_len, channels // heads)  # and values
            three = (a.q_proj, a.k_proj, a.v_proj)  # as one matrix: one product instead of three
            qkv = torch.cat([p.weight for p in three]), torch.cat([p.bias for p in three])
            self.layers.append((block, heads, keys, qkv))

    def logits(self, ids):
        """The logits after the last of ids (B, T); only the ids that were not there last time are computed."""
        model, start, end = self.model, min(self.seen, ids.shape[1] - 1), ids.shape[1]
        x = model.token_embedding(ids[:, start:]) + self.places[:, start:end]  # (B, new, C)
        # Row i of the mask belongs to position start + i. A single new position sees everything.
        mask = None if end - start == 1 else ids.new_ones(end - start, end, dtype=torch.bool).tril(start)
        for block, heads, kept, (weight, bias) in self.layers:
            a, f, n1, n2 = block.attention, block.feed_forward, block.norm1, block.norm2
            normed = F.layer_norm(x, n1.normalized_shape, n1.weight, n1.bias, n1.eps)
            qkv = linear(normed, weight, bias).unflatten(2, (3, heads, -1))  # (B, new, 3, H, D)
            qkv = qkv.permute(2, 0, 3, 1, 4)  # (3, B, H, new, D)
            kept[:, :, :, start:end] = qkv[1:]
            keys, values = kept[:, :, :, :end]
            out = F.scaled_dot_product_attention(qkv[0], keys, values, mask)  # (B, H, new, D)
            x = x + linear(out.transpose(1, 2).flatten(2), a.out_proj.weight, a.out_proj.bias)
            normed = F.layer_norm(x, n2.normalized_shape, n2.weight, n2.bias, n2.eps)
            hidden = F.gelu(linear(normed, f.expand.weight, f.expand.bias))
            x = x + linear(hidden, f.project.weight, f.project.bias)
        self.seen = end
        return model.head(model.final_norm(x[:, -1]))
