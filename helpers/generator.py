"""Writing text faster: the learner's `generate`, with a memory for keys and values.

`generate` reads the whole text again for each new character. But a character that is already there has the same key
and the same value as before: nothing after it can change them, because attention only looks back. `generate` here
computes each of them once and keeps them, up to the model's `max_len`. It does the arithmetic of a `TinyLLM` itself,
from the learner's weights, because for a single position most of the time goes into calling modules.
"""
import torch
import torch.nn.functional as F


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
        with torch.inference_mode():  # no_grad, and less bookkeeping still: a third less time
            longer = extended(model, ids, max_new_tokens, temperature, top_k)
    finally:
        torch.set_num_threads(threads)
        model.train(was_training)
    return longer.clone()  # a tensor made in inference mode could not be used in a training


def extended(model, ids, max_new_tokens, temperature, top_k):
    """ids (B, T) and what comes after them, in the present mode."""
    memory, first, threads = Memory(model, len(ids)), ids[:, :1], torch.get_num_threads()
    # A model whose forward does more than the course's is left to do it.
    keeps = torch.allclose(memory.logits(first), model(first)[:, -1], rtol=1e-3, atol=1e-4)
    for _ in range(max_new_tokens):
        if keeps and ids.shape[1] <= model.max_len:
            logits = memory.logits(ids)  # (B, V), for the character after the last one
            if len(ids) == 1:  # from now on one position at a time: too little work for several threads
                torch.set_num_threads(1)
        else:
            torch.set_num_threads(threads)
            logits = model(ids[:, -model.max_len:])[:, -1]
        ids = torch.cat([ids, pick(logits, temperature, top_k)], dim=1)
    return ids


def pick(logits, temperature, top_k):
    """The next id for each row: logits (B, V) -> (B, 1)."""
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    if temperature > 0:
        # Of probabilities divided by exponentially distributed noise, the largest is at id i as often as i is likely.
        # torch.multinomial does the same, and takes twice as long because it looks at what it is given.
        logits = (logits / temperature).softmax(dim=-1)
        logits = logits / torch.empty_like(logits).exponential_()
    return logits.argmax(dim=-1, keepdim=True)


class Memory:
    """The keys and values of all characters so far, and the model's weights, laid out for one position at a time.

    Laid out means: collected in tuples, because to look them up in modules takes longer than to multiply a row by
    them; queries, keys and values as one product; and the queries already divided by the root of their length.
    """

    def __init__(self, model, batch):
        self.seen = 0  # characters whose keys and values are there
        channels = model.final_norm.normalized_shape[0]
        some = model.final_norm.weight.new_zeros(1, model.max_len, channels)
        ids = torch.arange(model.head.out_features, device=some.device)
        self.embedding = model.token_embedding(ids)  # (V, C)
        self.places = model.positional_encoding(some)[0]  # (max_len, C): the position alone
        self.blocks = []
        for block in model.blocks:
            a, f = block.attention, block.feed_forward
            heads = a(some[:, :1])[1].shape[1]  # its weights are (B, H, T, T): whatever it calls that number
            past = some.new_empty(2, batch, heads, model.max_len, channels // heads)  # keys and values
            scale = (channels // heads) ** -0.5
            qkv = (torch.cat([a.q_proj.bias * scale, a.k_proj.bias, a.v_proj.bias]),
                   torch.cat([a.q_proj.weight * scale, a.k_proj.weight, a.v_proj.weight]).T)
            self.blocks.append((norm(block.norm1), qkv, past, linear(a.out_proj),
                                norm(block.norm2), linear(f.expand), linear(f.project)))
        self.last = norm(model.final_norm), linear(model.head)

    def logits(self, ids):
        """The logits after the last of ids (B, T); only the ids that were not there last time are computed."""
        start, end = min(self.seen, ids.shape[1] - 1), ids.shape[1]
        batch, new = ids.shape[0], end - start
        # (B * new, C): the linear layers and norms do not care which text a position belongs to.
        x = (self.embedding[ids[:, start:]] + self.places[start:end]).flatten(0, 1)
        # Row i of the mask belongs to position start + i. A single new position may see everything.
        future = None if new == 1 else ids.new_ones(new, end, dtype=torch.bool).triu(start + 1)
        for norm1, (b_qkv, w_qkv), past, (b_out, w_out), norm2, (b_up, w_up), (b_down, w_down) in self.blocks:
            qkv = torch.addmm(b_qkv, torch.layer_norm(x, *norm1), w_qkv)
            qkv = qkv.view(batch, new, 3, past.shape[2], -1).permute(2, 0, 3, 1, 4)  # (3, B, H, new, D)
            past[:, :, :, start:end] = qkv[1:]
            keys, values = past[:, :, :, :end].unbind()
            scores = qkv[0] @ keys.mT  # (B, H, new, end)
            if future is not None:
                scores = scores.masked_fill(future, float("-inf"))
            out = (scores.softmax(dim=-1) @ values).transpose(1, 2).reshape(x.shape)
            x = x + torch.addmm(b_out, out, w_out)
            hidden = F.gelu(torch.addmm(b_up, torch.layer_norm(x, *norm2), w_up))
            x = x + torch.addmm(b_down, hidden, w_down)
        self.seen = end
        final_norm, (bias, weight) = self.last
        return torch.addmm(bias, torch.layer_norm(x.view(batch, new, -1)[:, -1], *final_norm), weight)


def norm(layer):
    """What `torch.layer_norm` needs after x."""
    return layer.normalized_shape, layer.weight, layer.bias, layer.eps


def linear(layer):
    """Bias and weight as `torch.addmm` takes them."""
    return layer.bias, layer.weight.T
