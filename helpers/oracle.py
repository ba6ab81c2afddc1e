"""PyTorch's own layers under the course's names: the truth that checks compare with, and stand-ins for pieces
that are not finished yet. Signatures and attribute names are those of the contract; how a result is reached is not
how the course teaches it.

B batch, T time, C = embed_dim, H = num_heads, D = C // H, V = vocab_size.
"""
from functools import partial, reduce
from itertools import count

import torch
import torch.nn.functional as F
from torch import nn

# --- 1_tensors and 3a_embeddings ---------------------------------------------------------------------------------

def split_heads(x, num_heads):
    """(B, T, C) -> (B, H, T, D): head h holds features h*D .. (h+1)*D."""
    if x.shape[-1] % num_heads:
        raise ValueError(f"embed_dim {x.shape[-1]} is not divisible by num_heads {num_heads}")
    width = x.shape[-1] // num_heads
    return x.unfold(-1, width, width).movedim(2, 1)  # (B, T, H, D) -> (B, H, T, D)


def merge_heads(x):
    """(B, H, T, D) -> (B, T, C), the inverse of split_heads."""
    return torch.cat(x.unbind(1), -1)


class TwoLayerNet(nn.Module):
    """fc2(relu(fc1(x))) for x (..., in_features)."""

    def __init__(self, in_features, hidden_features, out_features):
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden_features)
        self.fc2 = nn.Linear(hidden_features, out_features)

    def forward(self, x):
        return nn.Sequential(self.fc1, nn.ReLU(), self.fc2)(x)  # (..., out_features)


class TokenEmbedding(nn.Module):
    """ids (B, T) int64 -> vectors (B, T, C)."""

    def __init__(self, vocab_size, embed_dim):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim)

    def forward(self, ids):
        return F.embedding(ids, self.embedding.weight)


def sinusoidal_table(max_len, embed_dim):
    """float32 (max_len, C): sine and cosine of p / 10000**(2i / C) in columns 2i and 2i+1 (Vaswani et al. 2017, 3.5).

    Computed in float64 as the two parts of exp(i angle).
    """
    waves = (embed_dim + 1) // 2
    rates = torch.logspace(0, -2 * waves / embed_dim, waves + 1, base=10000, dtype=torch.float64)[:-1]
    angles = torch.outer(torch.arange(max_len, dtype=torch.float64), rates)
    turning = torch.view_as_real(torch.polar(torch.ones_like(angles), angles))  # (max_len, waves, [cos, sin])
    return turning.flip(-1).flatten(1)[:, :embed_dim].float()


class PositionalEncoding(nn.Module):
    """x (B, T, C) -> x + table[:T]; the table is a buffer."""

    def __init__(self, embed_dim, max_len):
        super().__init__()
        self.register_buffer("table", sinusoidal_table(max_len, embed_dim))

    def forward(self, x):
        if x.shape[1] > len(self.table):
            raise ValueError(f"x has {x.shape[1]} positions, more than max_len {len(self.table)}")
        return torch.add(x, self.table.narrow(0, 0, x.shape[1]))


# --- 3b_attention ------------------------------------------------------------------------------------------------

def attention(q, k, v, mask=None, scale=None):
    """Scaled dot-product attention -> (output, weights), by PyTorch's own function.

    q, k, v (..., T, D); mask (T, T), bool or 0/1, 0 hides; scale 1/sqrt(D) unless given. The weights are what
    attention gives for the identity as values.
    """
    seen = None if mask is None else mask.bool()
    one = torch.eye(k.shape[-2], dtype=q.dtype, device=q.device).expand(*k.shape[:-1], k.shape[-2])
    return (F.scaled_dot_product_attention(q, k, v, seen, scale=scale),
            F.scaled_dot_product_attention(q, k, one, seen, scale=scale))


class SelfAttention(nn.Module):
    """One head. x (B, T, C), mask (T, T) -> (output (B, T, C), weights (B, T, T))."""

    def __init__(self, embed_dim):
        super().__init__()
        self.q_proj = nn.Linear(embed_dim, embed_dim, bias=False)
        self.k_proj = nn.Linear(embed_dim, embed_dim, bias=False)
        self.v_proj = nn.Linear(embed_dim, embed_dim, bias=False)

    def forward(self, x, mask=None):
        return attention(self.q_proj(x), self.k_proj(x), self.v_proj(x), mask)


class MultiHeadAttention(nn.Module):
    """x (B, T, C), mask (T, T) -> (output (B, T, C), weights (B, H, T, T)); what nn.MultiheadAttention computes."""

    def __init__(self, embed_dim, num_heads, dropout=0.0):
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim {embed_dim} is not divisible by num_heads {num_heads}")
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.q_proj = nn.Linear(embed_dim, embed_dim)
        self.k_proj = nn.Linear(embed_dim, embed_dim)
        self.v_proj = nn.Linear(embed_dim, embed_dim)
        self.out_proj = nn.Linear(embed_dim, embed_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        x = x.transpose(0, 1)  # (T, B, C), the order of the functional form
        output, weights = F.multi_head_attention_forward(
            x, x, x, self.embed_dim, self.num_heads, None,
            torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias]), None, None, False, 0.0,
            self.out_proj.weight, self.out_proj.bias, need_weights=True, average_attn_weights=False,
            attn_mask=None if mask is None else ~mask.bool(),  # there True hides
            use_separate_proj_weight=True, q_proj_weight=self.q_proj.weight, k_proj_weight=self.k_proj.weight,
            v_proj_weight=self.v_proj.weight)
        return self.dropout(output.transpose(0, 1)), weights  # (B, T, C), (B, H, T, T)


# --- 3c_blocks, 4_model, 5_training ------------------------------------------------------------------------------

class FeedForward(nn.Module):
    """Two linear layers with a GELU between them, on each position alone: (..., C) -> (..., C)."""

    def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
        super().__init__()
        self.expand = nn.Linear(embed_dim, hidden_dim or 4 * embed_dim)
        self.project = nn.Linear(self.expand.out_features, embed_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        layers = nn.Sequential(self.expand, nn.GELU(), self.project, self.dropout)
        return layers(x)


class TransformerBlock(nn.Module):
    """A pre-norm transformer block: (B, T, C) -> (B, T, C).

    The arithmetic is that of `nn.TransformerEncoderLayer(norm_first=True)`, run with this block's own weights.
    PyTorch's layer does all the work, so hooks on `attention` or `feed_forward` do not fire: call those parts
    yourself when you want to see inside.
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(embed_dim), nn.LayerNorm(embed_dim)
        self.attention = MultiHeadAttention(embed_dim, num_heads, dropout)
        self.feed_forward = FeedForward(embed_dim, 4 * embed_dim, dropout)
        layer = nn.TransformerEncoderLayer(
            embed_dim, num_heads, 4 * embed_dim, 0.0, "gelu", batch_first=True, norm_first=True, device="meta"
        )
        layer.dropout1.p = layer.dropout2.p = dropout  # on what each half adds; none inside the halves
        layer.activation_relu_or_gelu = 0  # keeps PyTorch from its inference-only kernel
        del layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias  # come from three layers here, see forward
        self._layer = (layer,)  # in a tuple, so that its parts do not count as this block's too

    def forward(self, x, mask=None):
        a, f, (layer,) = self.attention, self.feed_forward, self._layer
        layer.norm1, layer.norm2, layer.linear1, layer.linear2 = self.norm1, self.norm2, f.expand, f.project
        layer.self_attn.out_proj = a.out_proj
        layer.train(self.training)
        hidden = None if mask is None else torch.logical_not(mask)  # PyTorch's True means "may not look"
        qkv = (a.q_proj, a.k_proj, a.v_proj)
        try:
            layer.self_attn.in_proj_weight = torch.cat([projection.weight for projection in qkv])
            layer.self_attn.in_proj_bias = torch.cat([projection.bias for projection in qkv])
            return layer(x, hidden)
        finally:  # results of a calculation cannot be deep-copied, and hold on to their graph
            layer.self_attn.in_proj_weight = layer.self_attn.in_proj_bias = None


class TinyLLM(nn.Module):
    """Character-level language model: ids (B, T) -> logits (B, T, V). Raises ValueError when T > max_len."""

    def __init__(self, vocab_size, embed_dim=128, num_heads=4, num_layers=4, max_len=128, dropout=0.0):
        super().__init__()
        self.max_len = max_len
        self.token_embedding = TokenEmbedding(vocab_size, embed_dim)
        self.positional_encoding = PositionalEncoding(embed_dim, max_len)
        self.blocks = nn.ModuleList(TransformerBlock(embed_dim, num_heads, dropout) for _ in range(num_layers))
        self.final_norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, vocab_size)

    def forward(self, ids):
        if ids.size(-1) > self.max_len:
            raise ValueError(f"ids has {ids.size(-1)} positions, but max_len is {self.max_len}")
        mask = causal_mask(ids.size(-1), ids.device)
        stack = [self.token_embedding, self.positional_encoding, *(partial(b, mask=mask) for b in self.blocks)]
        return reduce(lambda x, part: part(x), [*stack, self.final_norm, self.head], ids)


@torch.no_grad()
def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
    """Append `max_new_tokens` ids to each row of `ids`: (B, T) -> (B, T + max_new_tokens).

    Samples with the Gumbel trick: argmax(logits / temperature + Gumbel noise) is a draw from
    softmax(logits / temperature) (Gumbel 1954; Maddison, Tarlow and Minka 2014).
    Raises ValueError for an empty prompt, top_k < 1, and a negative max_new_tokens or temperature.
    """
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must not be negative, but is {max_new_tokens}")
    if temperature < 0:
        raise ValueError(f"temperature must not be negative, but is {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, but is {top_k}")
    if ids.size(-1) == 0:
        raise ValueError("ids holds no prompt: give at least one id")
    was_training = model.training
    model.eval()
    try:
        for _ in range(max_new_tokens):
            scores = model(ids.narrow(1, max(0, ids.size(1) - model.max_len), min(ids.size(1), model.max_len)))
            scores = scores.select(1, -1)  # (B, V): what follows the last id
            if top_k is not None and top_k < scores.size(-1):
                least = scores.kthvalue(scores.size(-1) - top_k + 1, dim=-1, keepdim=True).values
                scores = torch.where(scores < least, -torch.inf, scores)
            if temperature > 0:
                noise = -torch.empty_like(scores).exponential_().log()
                scores = scores / temperature + noise
            ids = torch.hstack([ids, scores.max(dim=-1, keepdim=True).indices])
    finally:
        model.train(was_training)
    return ids.clone() if max_new_tokens == 0 else ids


def causal_mask(seq_len, device=None):
    """Bool mask (T, T), True where position i may look at j <= i; PyTorch's own mask, turned into True and False."""
    return nn.Transformer.generate_square_subsequent_mask(seq_len, device=device).isfinite()


class CharTokenizer:
    """Text to ids and back, one id per distinct character, in sorted order.

    Raises ValueError for an empty text, an unknown character in `encode` and an id outside 0..V-1 in `decode`.
    """

    def __init__(self, text):
        if not text:
            raise ValueError("text is empty: a tokenizer needs at least one character")
        self.chars = sorted(dict.fromkeys(text))
        self.char_to_id = dict(zip(self.chars, count()))
        self.vocab_size = len(self.chars)

    def encode(self, text):
        known = set(self.char_to_id)
        if not known.issuperset(text):
            where = next(i for i, char in enumerate(text) if char not in known)
            raise ValueError(f"text holds {text[where]!r} at position {where}, which is not in the vocabulary")
        return list(map(self.char_to_id.__getitem__, text))

    def decode(self, ids):
        ids = torch.as_tensor(ids, dtype=torch.int64).tolist()
        if ids and not 0 <= min(ids) <= max(ids) < self.vocab_size:
            raise ValueError(f"ids holds {min(ids)}..{max(ids)}, but the vocabulary is 0..{self.vocab_size - 1}")
        return "".join(map(self.chars.__getitem__, ids))


class TextDataset(torch.utils.data.Dataset):
    """Every window of `block_size` ids, with the same window one step later: (x, y), int64 (block_size,) each.

    Raises ValueError when block_size < 1 or the text is not longer than block_size; IndexError out of range.
    """

    def __init__(self, ids, block_size):
        self.ids = torch.as_tensor(ids, dtype=torch.int64)
        if not 1 <= block_size < len(self.ids):
            raise ValueError(f"block_size must be 1..{len(self.ids) - 1} for {len(self.ids)} ids, but is {block_size}")
        self.block_size = block_size
        self._windows = self.ids.unfold(0, block_size + 1, 1)  # (windows, block_size + 1): a view, not a copy

    def __len__(self):
        return self._windows.size(0)

    def __getitem__(self, i):
        return self._windows[i, :-1].clone(), self._windows[i, 1:].clone()


def train_step(model, batch, optimizer, max_grad_norm=1.0):
    """One step of gradient descent on a batch (x, y) of ids (B, T): the loss before the step, in nats per position."""
    device = next(iter(model.state_dict().values())).device
    x, y = (part.to(device) for part in batch)
    model.train()
    loss = nn.CrossEntropyLoss()(model(x).mT, y)
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    length = torch.stack([g.detach().norm() for g in gradients if g is not None]).norm()
    scale = max_grad_norm / (length + 1e-6).clamp(min=max_grad_norm)
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = None if gradient is None else gradient * scale
    optimizer.step()
    return loss.item()


def evaluate(model, loader):
    """Mean cross-entropy in nats per position over all batches of `loader`; ValueError when it holds none."""
    device = next(iter(model.state_dict().values())).device
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            losses = [nn.CrossEntropyLoss(reduction="none")(model(x.to(device)).mT, y.to(device)) for x, y in loader]
    finally:
        model.train(was_training)
    if not losses:
        raise ValueError("loader holds no batches")
    return torch.cat([loss.flatten() for loss in losses]).mean(dtype=torch.float64).item()


def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
    """Train for `epochs` passes over `train_loader`: {"train_loss": one per step, "val_loss": one per epoch}."""
    history = {"train_loss": [], "val_loss": []}
    steps = count()
    for _ in range(epochs):
        for batch in train_loader:
            loss = train_step(model, batch, optimizer)
            history["train_loss"] += [loss]
            if scheduler is not None:
                scheduler.step()
            if on_step is not None:
                on_step(next(steps), loss)
        history["val_loss"] += [evaluate(model, val_loader)]
    return history


def generate_text(model, tokenizer, prompt, max_new_tokens=200, temperature=0.8, top_k=None):
    """The prompt with `max_new_tokens` characters more, written by `model`. ValueError for an empty prompt."""
    if not prompt:
        raise ValueError("prompt is empty: the model needs at least one character to begin with")
    device = next(iter(model.state_dict().values())).device
    ids = torch.as_tensor([tokenizer.encode(prompt)], device=device)
    return tokenizer.decode(generate(model, ids, max_new_tokens, temperature, top_k).flatten().tolist())
