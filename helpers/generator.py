"""Writing text faster: the learner's `generate`, with a memory for keys and values.

`generate` reads the whole text again for each new character. But a character that is already there has the same key
and the same value as before: nothing after it can change them, because attention only looks back. `generate` here
has the learner's model read the prompt, keeps the keys and values, and from then on computes one position at a time,
up to the model's `max_len`.

For a single position PyTorch spends most of its time on finding out what is to be done with a few numbers. NumPy asks
less, and the same memory can belong to an array of the one and a tensor of the other. So the products are NumPy's here,
and PyTorch does what NumPy has no function for.
"""
import numpy as np
import torch


def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
    """What the learner's `generate` does, with the same arguments, for the learner's own `TinyLLM`.

    ids (B, T) -> (B, T + max_new_tokens). With temperature 0 the result is the same, id for id; otherwise it is drawn
    from the same distribution. Once the text is longer than `model.max_len` every position gets another place with
    each new character, so that nothing can be kept: from there on it is as slow as the learner's own. So it is
    throughout for a model whose forward does more than the course's, and for one that is neither float32 nor float64.
    Raises `ValueError` for an empty prompt, top_k < 1, and a negative max_new_tokens or temperature.
    """
    if max_new_tokens < 0 or temperature < 0 or (top_k is not None and top_k < 1) or ids.shape[1] == 0:
        raise ValueError(f"the prompt needs at least one id (it has {ids.shape[1]}), max_new_tokens ({max_new_tokens}) "
                         f"and temperature ({temperature}) must not be negative, top_k ({top_k}) must be at least 1")
    was_training, threads = model.training, torch.get_num_threads()
    model.eval()
    try:
        with torch.inference_mode():  # no_grad, and less bookkeeping still
            longer = extended(model, ids, max_new_tokens, temperature, top_k)
    finally:
        torch.set_num_threads(threads)
        model.train(was_training)
    return longer.clone()  # a tensor made in inference mode could not be used in a training


def extended(model, ids, max_new_tokens, temperature, top_k):
    """ids (B, T) and what comes after them, in the present mode."""
    (batch, length), threads, memory = ids.shape, torch.get_num_threads(), None
    text = np.concatenate([array(ids), np.empty((batch, max_new_tokens), np.int64)], axis=1)
    for end in range(length, length + max_new_tokens):
        if memory and end <= model.max_len:
            torch.set_num_threads(1)  # too little work for several
            logits = memory.logits(text[:, end - 1])  # (B, V), for the character after the last one
        else:
            torch.set_num_threads(threads)
            seen = torch.from_numpy(text[:, max(0, end - model.max_len):end]).to(ids.device)
            logits, normed = read(model, seen)
            if end == length < model.max_len and max_new_tokens > 1:
                memory = Memory.of(model, seen, normed, logits)
            logits = array(logits.double())
        text[:, end] = pick(logits, temperature, top_k)
    return torch.from_numpy(text).to(ids.device)


def read(model, ids):
    """What the model says after ids (B, T): logits (B, V), and on the way what each block's norm1 gave (B, T, C)."""
    normed = []
    hooks = [block.norm1.register_forward_hook(lambda module, given, result: normed.append(result))
             for block in model.blocks]
    try:
        return model(ids)[:, -1], normed
    finally:
        for hook in hooks:
            hook.remove()


def pick(logits, temperature, top_k):
    """The next id for each row: logits (B, V) -> (B,)."""
    if top_k is not None and top_k < logits.shape[-1]:
        least = np.sort(logits)[:, -top_k, None]  # (B, 1): the worst of the best
        logits = np.where(logits < least, -np.inf, logits)
    if temperature > 0:
        # Of probabilities divided by exponentially distributed noise, the largest is at id i as often as i is likely;
        # so it is of their logarithms, which need no softmax. torch.multinomial does the same, and takes three times
        # as long. The noise is PyTorch's, so that torch.manual_seed still decides.
        logits = logits / temperature - torch.empty(logits.shape).exponential_().log_().numpy()
    return logits.argmax(axis=-1)


class Memory:
    """The keys and values of all characters so far, and the model's weights, laid out for one position at a time.

    Laid out means: collected in tuples, because to look them up in modules takes longer than to multiply a row by
    them; queries, keys and values as one product; and the queries already divided by the root of their length.
    """

    @classmethod
    def of(cls, model, ids, normed, logits):
        """A memory of ids (B, T), from what `read` has found; None where its next logits would not be the model's."""
        if len(normed) != len(model.blocks) or logits.dtype not in (torch.float32, torch.float64):
            return None
        memory = cls(model, normed)
        memory.seen -= 1  # the last position once more, by the arithmetic of `logits`: is it the model's?
        same = np.allclose(memory.logits(array(ids[:, -1])), array(logits), rtol=1e-3, atol=1e-4)
        return memory if same else None

    def __init__(self, model, normed):
        batch, self.seen, channels = normed[0].shape  # seen: characters whose keys and values are there
        some = normed[0].new_zeros(1, model.max_len, channels)
        self.embedding = array(model.token_embedding(torch.arange(model.head.out_features, device=some.device)))
        self.places = array(model.positional_encoding(some)[0])  # (max_len, C): the position alone
        self.blocks = []
        for block, x in zip(model.blocks, normed):
            a, f = block.attention, block.feed_forward
            heads = a(some[:, :1])[1].shape[1]  # its weights are (B, H, T, T): whatever it calls that number
            past = np.empty((2, batch, heads, model.max_len, channels // heads), self.places.dtype)  # keys and values
            for kept, layer in zip(past, (a.k_proj, a.v_proj)):
                kept[:, :, :self.seen] = array(layer(x).unflatten(-1, (heads, -1)).transpose(1, 2))
            scale = (channels // heads) ** -0.5
            qkv = (torch.cat([a.q_proj.weight * scale, a.k_proj.weight, a.v_proj.weight]),
                   torch.cat([a.q_proj.bias * scale, a.k_proj.bias, a.v_proj.bias]))
            self.blocks.append((norm(block.norm1), past, array(qkv[0]).T, array(qkv[1]), *linear(a.out_proj),
                                norm(block.norm2), *linear(f.expand), *linear(f.project)))
        self.last = norm(model.final_norm), *linear(model.head)

    def logits(self, ids):
        """Read one more character of each text, ids (B,), and say what comes next: logits (B, V)."""
        at, self.seen = self.seen, self.seen + 1
        x = self.embedding[ids] + self.places[at]  # (B, C)
        for norm1, past, w_qkv, b_qkv, w_out, b_out, norm2, w_up, b_up, w_down, b_down in self.blocks:
            heads, _, size = past.shape[2:]
            qkv = (normalized(x, norm1) @ w_qkv + b_qkv).reshape(-1, 3, heads, size)
            past[:, :, :, at] = qkv[:, 1:].swapaxes(0, 1)
            keys, values = past[:, :, :, :self.seen]  # (B, H, T, D) each
            scores = torch.from_numpy(qkv[:, 0, :, None] @ keys.swapaxes(-1, -2))  # (B, H, 1, T)
            out = scores.softmax(dim=-1).numpy() @ values  # (B, H, 1, D): nothing to hide, all of it is past
            x = x + (out.reshape(x.shape) @ w_out + b_out)
            x = x + (gelu(normalized(x, norm2) @ w_up + b_up) @ w_down + b_down)
        norm_last, w_head, b_head = self.last
        return normalized(x, norm_last) @ w_head + b_head


def array(tensor):
    """A tensor's numbers as a NumPy array; in the same memory, where that is the computer's own."""
    return tensor.detach().cpu().numpy()


def norm(layer):
    """What `torch.layer_norm` needs after x."""
    return layer.normalized_shape, layer.weight.cpu(), layer.bias.cpu(), layer.eps


def normalized(x, norm):
    """The layer norm of an array."""
    return torch.layer_norm(torch.from_numpy(x), *norm).numpy()


def gelu(x):
    """x times the share of the normal distribution below x. F.gelu is made for large tensors: here it takes longer."""
    return x * (0.5 + 0.5 * torch.erf(torch.from_numpy(x * 0.5**0.5)).numpy())


def linear(layer):
    """Weight and bias for `x @ weight + bias`."""
    return array(layer.weight).T, 0.0 if layer.bias is None else array(layer.bias)
