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
    was_training, threads = model.training, torch.get_num_threads()
    model.eval()
    try:
        memory, first = Memory(model, len(ids)), ids[:, :1]
        # A model whose forward does more than the course's is left to do it.
        keeps = torch.allclose(Memory(model, len(ids)).logits(first), model(first)[:, -1], rtol=1e-3, atol=1e-4)
        for _ in range(max_new_tokens):
            if keeps and ids.shape[1] <= model.max_len:
                logits = memory.logits(ids)  # (B, V), for the character after the last one
                if len(ids) == 1:  # from now on one position at a time: too little work for several threads
                    torch.set_num_threads(1)
            else:
                torch.set_num_threads(threads)
                logits = model(ids[:, -model.max_len:])[:, -1]
            ids = torch.cat([ids, pick(logits, temperature, top_k)], dim=1)
    finally:
        torch.set_num_threads(threads)
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


class Memory:
    """The keys and values of all characters so far, and the model's weights, laid out for one position at a time."""

    def __init__(self, model, batch):
        self.model = model
        self.seen = 0  # characters whose keys and values are there
        channels = model.final_norm.normalized_shape[0]
        some = model.final_norm.weight.new_zeros(1, model.max_len, channels)
        self.places = model.positional_encoding(some)[0]  # (max_len, C): the position alone
        self.layers = []
        for block in model.blocks:
            a = block.attention
            heads = a(some[:, :1])[1].shape[1]  # its weights are (B, H, T, T): whatever it calls that number
            keys, values = some.new_empty(2, batch, heads, model.max_len, channels // heads)
            three = (a.q_proj, a.k_proj, a.v_proj)  # as one matrix: one product instead of three
            qkv = torch.cat([p.weight for p in three]), torch.cat([p.bias for p in three])
            self.layers.append((block, keys, values, qkv))

    def logits(self, ids):
        """The logits after the last of ids (B, T); only the ids that were not there last time are computed."""
        model, start, end = self.model, min(self.seen, ids.shape[1] - 1), ids.shape[1]
        batch, new = ids.shape[0], end - start
        # (B * new, C): the linear layers and norms do not care which text a position belongs to.
        x = (model.token_embedding(ids[:, start:]) + self.places[start:end]).flatten(0, 1)
        # Row i of the mask belongs to position start + i. A single new position sees everything.
        mask = None if new == 1 else ids.new_ones(new, end, dtype=torch.bool).tril(start)
        for block, keys, values, (weight, bias) in self.layers:
            a, f, n1, n2 = block.attention, block.feed_forward, block.norm1, block.norm2
            normed = F.layer_norm(x, n1.normalized_shape, n1.weight, n1.bias, n1.eps)
            qkv = linear(normed, weight, bias)
            q, k, v = qkv.view(batch, new, 3, keys.shape[1], -1).permute(2, 0, 3, 1, 4)  # (B, H, new, D) each
            keys[:, :, start:end], values[:, :, start:end] = k, v
            out = F.scaled_dot_product_attention(q, keys[:, :, :end], values[:, :, :end], mask)
            x = x + linear(out.transpose(1, 2).reshape(x.shape), a.out_proj.weight, a.out_proj.bias)
            normed = F.layer_norm(x, n2.normalized_shape, n2.weight, n2.bias, n2.eps)
            hidden = F.gelu(linear(normed, f.expand.weight, f.expand.bias))
            x = x + linear(hidden, f.project.weight, f.project.bias)
        self.seen = end
        return model.head(model.final_norm(x.view(batch, new, -1)[:, -1]))


def linear(x, weight, bias):
    """`F.linear` for x (N, C); for a single row as matrix times vector, which is faster."""
    return F.linear(x, weight, bias) if len(x) > 1 else torch.addmv(bias, weight, x[0])[None]
