# %% [markdown]
# # 3b. Attention: let every character look back
#
# So far each position of a text knows two things: which character it is, and where it stands. It knows nothing of its
# neighbours. After this notebook it does. You will write **self-attention**, the one idea that made transformers what
# they are, first with one head and then with several, and you will watch a head learn to look at exactly the right
# place.
#
# | TODO | you write | difficulty | minutes |
# |---|---|---|---|
# | 10 | `SelfAttention.__init__`: three projections | ★☆☆ | 10 |
# | 11 | `SelfAttention.forward`: scores, mask, softmax, average | ★★★ | 35 |
# | 12 | `MultiHeadAttention.__init__` | ★★☆ | 10 |
# | 13 | `MultiHeadAttention.forward`: the same, in every head at once | ★★★ | 35 |
#
# **What you need from before:** `x @ y` and `transpose` (TODO 2), splitting into heads (TODO 3), and how a module is
# built (TODOs 4-5). If one of them is unfinished, go on all the same: a stand-in takes its place and says so.
#
# Letters for shapes, the same in the whole course: `B` texts in a batch, `T` positions in each, `C` features at each
# position (`embed_dim`), `H` heads (`num_heads`), and `D = C // H` features in each head.

# %% locked="imports"
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from helpers import checks, parts, plots, widgets

# %% [markdown]
# ## The question attention answers
#
# Read this line and stop at the gap: `To be, or not to b_`. You filled it in at once, because you looked back at
# `To be`. You did not look at every character with the same care: most of them did not matter.
#
# Attention does the same in three moves. Each position
#
# 1. asks a question, the **query** $q$: "what am I looking for?";
# 2. holds up a sign, the **key** $k$: "this is what I have";
# 3. carries some content, the **value** $v$: "this is what I give to whoever looks at me".
#
# Where a query and a key fit together, their dot product is large. Those dot products, turned into percentages, say how
# much of each value goes into the answer:
#
# $$\text{Attention}(Q, K, V) = \text{softmax}\left(\frac{Q K^\top}{\sqrt{C}}\right) V$$
#
# This line is from the paper that introduced the transformer,
# [Attention Is All You Need (Vaswani and others, 2017)](https://arxiv.org/abs/1706.03762), section 3.2.1. For another
# telling of the same story, with many drawings, see
# [The Illustrated Transformer by Jay Alammar](https://jalammar.github.io/illustrated-transformer/).
#
# First the whole formula in numbers small enough to check in your head: three positions, two features each.

# %%
q = torch.tensor([[2.0, 0.0],  # position 0 asks for "much of feature 0"
                  [0.0, 2.0],  # position 1 asks for "much of feature 1"
                  [1.0, 1.0]])  # position 2 asks for a bit of both
k = torch.tensor([[1.0, 0.0],  # position 0 offers feature 0
                  [0.0, 1.0],  # position 1 offers feature 1
                  [1.0, 1.0]])  # position 2 offers both
v = torch.tensor([[10.0], [20.0], [30.0]])  # what each position gives: one number, easy to follow

scores = q @ k.T / math.sqrt(2)  # (3, 3): row = who asks, column = who is asked
weights = scores.softmax(dim=-1)  # (3, 3): each row adds up to 1
print("scores:\n", scores, sep="")
print("weights:\n", weights, sep="")
print("output:\n", weights @ v, sep="")

# %% [markdown]
# Row 0 asked for feature 0. Positions 0 and 2 have it, so each gets the weight 0.45, and position 1 gets what is left,
# 0.11. The answer is $0.45 \cdot 10 + 0.11 \cdot 20 + 0.45 \cdot 30 \approx 20$. An output is always such a **weighted
# average of values**: it can never be larger than the largest value, nor smaller than the smallest.
#
# ## Why divide by $\sqrt{C}$?
#
# A dot product of two vectors with $C$ random features is a sum of $C$ random terms, so its typical size grows like
# $\sqrt{C}$. Large scores make softmax extreme: one weight near 1, all others near 0. Such a head cannot learn, because
# the gradient through a weight of 0 or 1 is nearly zero. Dividing by $\sqrt{C}$ keeps the scores near 1, whatever $C$
# is.
#
# See for yourself: below, random queries meet eight random keys. Move **C** up. From where on does one key take nearly
# everything? Then tick the box, and move **C** again.

# %%
def weigh(C, divide):
    """Scores and weights of 1000 random queries on 8 random keys with C features each: (1000, 8) both."""
    random = torch.Generator().manual_seed(0)  # the same random numbers each time
    q, k = torch.randn(1000, C, generator=random), torch.randn(8, C, generator=random)
    scores = q @ k.T  # (1000, 8)
    if divide:
        scores = scores / math.sqrt(C)
    return scores, scores.softmax(dim=-1)


widgets.sharpness(weigh)

# %% [markdown]
# ## The mask: no looking ahead
#
# Our model will guess the next character. If position 5 could look at position 6, it would simply copy the answer,
# learn nothing, and be lost when there is no position 6 yet. So position $i$ may look at position $j$ only if
# $j \le i$. Written as a table of yes and no, that is a triangle. Here it is given; you will write it yourself as
# TODO 21.

# %%
mask = torch.ones(8, 8).tril().bool()  # (T, T): True = may look
plots.show(plots.causal_mask(mask))

# %% [markdown]
# To forbid a look, its score becomes $-\infty$ **before** the softmax. Since $e^{-\infty} = 0$, its weight is then
# exactly 0, and the other weights of the row still add up to 1. (Setting weights to 0 *after* the softmax would leave
# rows that add up to less than 1: try it in your head with the row `[0.45, 0.11, 0.45]`.)
#
# ## TODO 10 and TODO 11: one head
#
# Where do queries, keys and values come from? From the same $x$, by three learned linear maps. That is the *self* in
# self-attention: a text asks itself.
#
# $$q = x W_q^\top \qquad k = x W_k^\top \qquad v = x W_v^\top$$
#
# **TODO 10** makes the three maps, [nn.Linear](https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html)
# layers without bias. **TODO 11** is the formula, with a batch in front: all shapes get a leading `B`, and `k.T`
# becomes "swap the last two dimensions". Return the output *and* the weights: you will want to look at them.

# %% todo="10-11"
class SelfAttention(nn.Module):
    """Self-attention with one head.

    embed_dim: C, the number of features at each position
    """

    def __init__(self, embed_dim):
        super().__init__()
        # TODO 10: three linear layers from C to C features, without bias.
        # Call them self.q_proj, self.k_proj and self.v_proj.
        ### BEGIN SOLUTION 10
        self.q_proj = nn.Linear(embed_dim, embed_dim, bias=False)
        self.k_proj = nn.Linear(embed_dim, embed_dim, bias=False)
        self.v_proj = nn.Linear(embed_dim, embed_dim, bias=False)
        ### END SOLUTION

    def forward(self, x, mask=None):
        """x: (B, T, C). mask: (T, T), 0 or False where looking is forbidden; None: all may look.

        Returns output (B, T, C) and weights (B, T, T).
        """
        # TODO 11:
        #   queries, keys and values             (B, T, C) each
        #   scores, divided by sqrt(C)           (B, T, T)
        #   scores become -inf where mask is 0   (B, T, T)
        #   weights: softmax over the keys       (B, T, T)
        #   output: averages of the values       (B, T, C)
        ### BEGIN SOLUTION 11
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)  # (B, T, C) each
        scores = q @ k.transpose(-2, -1) / math.sqrt(x.shape[-1])  # (B, T, T)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, float("-inf"))
        weights = scores.softmax(dim=-1)  # (B, T, T), each row adds up to 1
        return weights @ v, weights  # (B, T, C), (B, T, T)
        ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: which dimension is which?</summary>
#
# TODO 10: a layer that keeps the number of features goes from `embed_dim` to `embed_dim`; its documentation (the link
# above) says how to leave the bias out.
#
# TODO 11: in the scores `(B, T, T)`, the second dimension counts who asks (queries) and the last counts who is asked
# (keys). Each query hands out weights that add up to 1 over the keys. That tells you the softmax's `dim`.
# </details>
#
# <details><summary><b>Hint 2</b>: the functions you need</summary>
#
# TODO 10: `nn.Linear(embed_dim, embed_dim, bias=False)`, three times, each with a name of its own.
#
# TODO 11: `a.transpose(-2, -1)` swaps the last two dimensions, and `@` multiplies the last two while leaving `B` alone.
# `scores.masked_fill(where, value)` returns a copy in which `value` stands wherever `where` is `True`; the mask says
# where looking is *allowed*, so you need its opposite: `mask == 0` works for True/False and for 1/0. `C` is
# `x.shape[-1]`.
# </details>

# %% test="10" points=2
checks.todo_10(SelfAttention)
### BEGIN HIDDEN TESTS
_layer = SelfAttention(6)
assert [tuple(p.shape) for p in _layer.parameters()] == [(6, 6)] * 3, "three weights of shape (C, C), no bias"
assert all(isinstance(getattr(_layer, n), nn.Linear) for n in ("q_proj", "k_proj", "v_proj"))
### END HIDDEN TESTS

# %% test="11" points=6
checks.todo_11(SelfAttention)
### BEGIN HIDDEN TESTS
try:
    checks.todo_10(SelfAttention, quiet=True)
    _layer = SelfAttention(2)
except Exception:  # TODO 10 has a test of its own
    _layer = nn.Module.__new__(SelfAttention)
    nn.Module.__init__(_layer)
    _layer.q_proj, _layer.k_proj, _layer.v_proj = (nn.Linear(2, 2, bias=False) for _ in range(3))
with torch.no_grad():
    _layer.q_proj.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 2.0]]))
    _layer.k_proj.weight.copy_(torch.eye(2))
    _layer.v_proj.weight.copy_(torch.tensor([[10.0, 0.0], [0.0, -1.0]]))
_x = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
_out, _weights = _layer(_x)
_a = 1 / (1 + math.exp(-2 / math.sqrt(2)))  # weight on itself: softmax of (2, 0) / sqrt(2)
assert _weights.shape == (1, 2, 2) and _out.shape == (1, 2, 2)
assert abs(_weights[0, 0, 0].item() - _a) < 1e-5 and abs(_weights[0, 1, 0].item() - (1 - _a)) < 1e-5
assert abs(_out[0, 0, 0].item() - 10 * _a) < 1e-4 and abs(_out[0, 1, 1].item() + _a) < 1e-4
_out, _weights = _layer(_x, torch.tensor([[1, 0], [1, 1]]))
assert _weights[0, 0].tolist() == [1.0, 0.0] and abs(_weights[0, 1, 0].item() - (1 - _a)) < 1e-5
### END HIDDEN TESTS

# %% [markdown]
# ### Look: what an untrained head sees
#
# Your head can read a text now. Its characters become vectors by the pieces of `3a_embeddings`. What you see: the
# weights of one character, the framed one, written on the text in percent; below it, a map with a row for each
# character that looks and a column for each that is looked at. Move **the character that looks** along the text, with
# the mouse or the arrow keys. Then take the **mask** off: how much of the weight looks ahead? The text is yours to
# change.

# %%
TokenEmbedding = parts.get("TokenEmbedding")
PositionalEncoding = parts.get("PositionalEncoding")


def watch(embed, attention, number):
    """A function from a text to the weights of `attention`; `number` turns a character into its id."""
    def look(text, masked):
        ids = torch.tensor([[number(c) for c in text]])  # (B, T): one text
        mask = torch.ones(len(text), len(text)).tril() if masked else None
        output, weights = attention(embed(ids), mask)
        return weights[0]  # of one head (T, T), of several (H, T, T)
    return look


def small_id(character):
    return ord(character) % 128  # ord: the number of a character, below 128 for all those of English


C = 16
torch.manual_seed(0)
embed = nn.Sequential(TokenEmbedding(128, C), PositionalEncoding(C, max_len=60))  # (B, T) -> (B, T, C)
head = SelfAttention(C)
widgets.attention(watch(embed, head, small_id), "to be or not")

# %% [markdown]
# With the mask, the upper triangle of the map is empty. Below it the weights are nearly even, row by row: an untrained
# head spreads its attention thinly, and each character has more to spread it over than the one before. The first has no
# choice: it can only look at itself. Without the mask, nearly half of all weight looks ahead. A model that learned like
# this would learn to peek.
#
# **Try it:** with `C = 256` the weights stay about as even as they are. Now take the division by $\sqrt{C}$ out of your
# TODO 11, and run its cell and this one again. (Then put it back.)
#
# ## TODO 12 and TODO 13: several heads
#
# One head hands out one set of percentages. But a character may need two things at once: the start of its word *and*
# the name of who is speaking. A single average blurs them. So we let $H$ heads look independently, each with its own
# $D = C / H$ features, and join what they found:
#
# $$\text{head}_h = \text{softmax}\left(\frac{Q_h K_h^\top}{\sqrt{D}}\right) V_h
# \qquad \text{output} = \text{concat}(\text{head}_1, \dots, \text{head}_H)\, W_o^\top + b_o$$
#
# Two things change against TODO 11. The scale is $\sqrt{D}$ now, because each dot product has only $D$ terms. And one
# more linear layer, `out_proj`, mixes what the heads bring back.
#
# Making $H$ separate layers in a loop would work, slowly. The trick is to keep one large `nn.Linear(C, C)` for all
# heads and to *split its result*, which you wrote as TODO 3. PyTorch then multiplies all heads in one go:
#
# ```
# x (B, T, C) -> q_proj -> (B, T, C) -> split_heads -> (B, H, T, D)
#             scores, mask, softmax, average, as in TODO 11 |
# output (B, T, C) <- out_proj <- (B, T, C) <- merge_heads <- (B, H, T, D)
# ```
#
# *Dropout* sets a random part of the output to zero while training, so that no feature can be relied on blindly;
# [nn.Dropout](https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html) does it, and does nothing in
# evaluation mode. Here it comes last, after `out_proj`.

# %%
split_heads = parts.get("split_heads")  # (B, T, C) -> (B, H, T, D)
merge_heads = parts.get("merge_heads")  # (B, H, T, D) -> (B, T, C)

# %% todo="12-13"
class MultiHeadAttention(nn.Module):
    """Self-attention with several heads side by side.

    embed_dim: C, must be divisible by num_heads
    num_heads: H
    dropout: share of the output set to zero while training
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0):
        super().__init__()
        # TODO 12: if C is not divisible by H, raise a ValueError that says so.
        # Then four linear layers from C to C features, with bias:
        # self.q_proj, self.k_proj, self.v_proj and self.out_proj; and self.dropout, an nn.Dropout.
        # Keep num_heads too: forward needs it.
        ### BEGIN SOLUTION 12
        if embed_dim % num_heads != 0:
            raise ValueError(f"embed_dim ({embed_dim}) must be divisible by num_heads ({num_heads})")
        self.num_heads = num_heads
        self.q_proj = nn.Linear(embed_dim, embed_dim)
        self.k_proj = nn.Linear(embed_dim, embed_dim)
        self.v_proj = nn.Linear(embed_dim, embed_dim)
        self.out_proj = nn.Linear(embed_dim, embed_dim)
        self.dropout = nn.Dropout(dropout)
        ### END SOLUTION

    def forward(self, x, mask=None):
        """x: (B, T, C). mask: (T, T), 0 or False where looking is forbidden; None: all may look.

        Returns output (B, T, C) and weights (B, H, T, T).
        """
        # TODO 13:
        #   queries, keys and values, split into heads   (B, H, T, D) each
        #   weights, as in TODO 11, scale sqrt(D)        (B, H, T, T)
        #   averages of the values, heads merged         (B, T, C)
        #   out_proj, then dropout                       (B, T, C)
        ### BEGIN SOLUTION 13
        q = split_heads(self.q_proj(x), self.num_heads)  # (B, H, T, D)
        k = split_heads(self.k_proj(x), self.num_heads)  # (B, H, T, D)
        v = split_heads(self.v_proj(x), self.num_heads)  # (B, H, T, D)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (B, H, T, T)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, float("-inf"))
        weights = scores.softmax(dim=-1)  # (B, H, T, T)
        output = self.out_proj(merge_heads(weights @ v))  # (B, T, C)
        return self.dropout(output), weights
        ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: how much of TODO 11 can stay?</summary>
#
# TODO 12: `%` gives the remainder of a division: it is 0 where the features can be shared out evenly. A linear layer
# has a bias unless you say otherwise.
#
# TODO 13: almost all of it can stay. `transpose(-2, -1)`, `@` and `softmax(dim=-1)` work on the last dimensions and
# leave everything in front alone, be it `B` or `B, H`. A mask `(T, T)` fits scores `(B, H, T, T)` too: PyTorch repeats
# it for each text and head.
# </details>
#
# <details><summary><b>Hint 2</b>: line by line</summary>
#
# TODO 12: `if embed_dim % num_heads != 0: raise ValueError(...)`, then `nn.Linear(embed_dim, embed_dim)` four times,
# and `nn.Dropout(dropout)`.
#
# TODO 13: project first, then split: `split_heads(self.q_proj(x), self.num_heads)`, and the same for `k` and `v`. The
# size for the scale is the last dimension of the split `q`, not of `x`. At the end: average the values, `merge_heads`,
# `out_proj`, `dropout`, in this order.
# </details>

# %% test="12" points=3
checks.todo_12(MultiHeadAttention)
### BEGIN HIDDEN TESTS
_layer = MultiHeadAttention(6, 3, dropout=0.25)
assert sum(p.numel() for p in _layer.parameters()) == 4 * (6 * 6 + 6), "four linear layers with bias"
assert isinstance(_layer.dropout, nn.Dropout) and _layer.dropout.p == 0.25
try:
    MultiHeadAttention(6, 4)
except ValueError:
    pass
else:
    raise AssertionError("6 features cannot be shared among 4 heads: that needs a ValueError")
### END HIDDEN TESTS

# %% test="13" points=7
checks.todo_13(MultiHeadAttention)
### BEGIN HIDDEN TESTS
torch.manual_seed(13)
try:
    checks.todo_12(MultiHeadAttention, quiet=True)
    _layer = MultiHeadAttention(12, 3).eval()
except Exception:  # TODO 12 has a test of its own
    _layer = nn.Module.__new__(MultiHeadAttention)
    nn.Module.__init__(_layer)
    _layer.q_proj, _layer.k_proj, _layer.v_proj, _layer.out_proj = (nn.Linear(12, 12) for _ in range(4))
    _layer.dropout, _layer.num_heads = nn.Dropout(0.0), 3
_x = torch.randn(2, 5, 12)
_mask = torch.ones(5, 5).tril().bool()
_torch = nn.MultiheadAttention(12, 3, batch_first=True).eval()
_parts = [_layer.q_proj, _layer.k_proj, _layer.v_proj]
with torch.no_grad():
    _torch.in_proj_weight.copy_(torch.cat([p.weight for p in _parts]))
    _torch.in_proj_bias.copy_(torch.cat([p.bias for p in _parts]))
    _torch.out_proj.weight.copy_(_layer.out_proj.weight)
    _torch.out_proj.bias.copy_(_layer.out_proj.bias)
    for _m in (None, _mask):
        _out, _weights = _layer(_x, _m)
        _true, _true_weights = _torch(_x, _x, _x, attn_mask=None if _m is None else ~_m, average_attn_weights=False)
        assert _weights.shape == (2, 3, 5, 5) and (_weights - _true_weights).abs().max().item() < 1e-5
        assert _out.shape == (2, 5, 12) and (_out - _true).abs().max().item() < 1e-5
### END HIDDEN TESTS

# %% [markdown]
# ### Look: four heads, four opinions
#
# Four untrained heads read the same text. Choose a **head**, then another. Where do they disagree most?

# %%
torch.manual_seed(1)
embed = nn.Sequential(TokenEmbedding(128, 32), PositionalEncoding(32, max_len=60))
attention = MultiHeadAttention(embed_dim=32, num_heads=4)
widgets.attention(watch(embed, attention, small_id), "to be or not")

# %% [markdown]
# ### Play: teach a head where to look
#
# Here is a task that cannot be done without attention: *at each position, say which character stood just before it.* We
# put your `MultiHeadAttention` between an embedding with positions and a linear layer, and train it for a few seconds
# on random letters. (How training works comes in `5_training`; for now, watch what it does to the weights.)

# %%
letters = "abcdefgh"
torch.manual_seed(2)
embed = nn.Sequential(TokenEmbedding(len(letters), 32), PositionalEncoding(32, max_len=12))
attention = MultiHeadAttention(embed_dim=32, num_heads=2)
guess = nn.Linear(32, len(letters))
layers = nn.ModuleList([embed, attention, guess])
untrained = copy.deepcopy(layers)  # kept, to compare with later
optimizer = torch.optim.AdamW(layers.parameters(), lr=0.01)
mask = torch.ones(12, 12).tril()

for step in range(400):
    ids = torch.randint(len(letters), (32, 12))  # (B, T): random letters
    output, weights = attention(embed(ids), mask)
    logits = guess(output)[:, 1:]  # position 0 has nothing before it
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, :-1].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0 or step == 399:
        right = (logits.argmax(-1) == ids[:, :-1]).float().mean().item()
        print(f"step {step:3d}: loss {loss.item():.3f}, {right:4.0%} right")

before = weights.diagonal(offset=-1, dim1=-2, dim2=-1).mean().item()  # the line just below the diagonal
print(f"weight on the character just before: {before:.0%} on average")

# %% [markdown]
# And where do the heads look? Choose the weights **before training** and **after training**, and move
# **the character that looks**. Then type another word of the letters `a` to `h`, in which letters repeat, say
# `abababba`.

# %%
word = "".join(letters[i] for i in ids[0].tolist())
widgets.attention({"before training": watch(untrained[0], untrained[1], letters.index),
                   "after training": watch(embed, attention, letters.index)},
                  word, longest=12, alphabet=letters)

# %% [markdown]
# Nobody told the heads where to look. Yet the weights gathered just below the diagonal: each character looks at its
# predecessor, because that is where the answer stands. (Half of the weight is enough. Once the predecessor's share is
# by far the largest, every guess is right, and nothing pushes the heads any further.) Everything a large language model
# does with its context starts here.
#
# ## Recap
#
# - A query meets every key; the dot products, divided by the square root of their length, become weights by softmax.
# - The mask makes forbidden scores $-\infty$ before the softmax, so that their weights are exactly 0.
# - The output is an average of values, and the weights say of which.
# - Several heads are one head on slices of the features; `out_proj` mixes what they found.
#
# This is how far you are in the course: what has passed and when, and what comes next.

# %%
helpers.progress()

# %% [markdown]
# ## Three questions to think about
#
# 1. Shuffle the characters of a text (without positional encoding and without a mask). What happens to the outputs?
# 2. Why do the heads of an untrained model not all show the same map?
# 3. The scores are a `(T, T)` table. What does that mean for a text twice as long?
#
# <details><summary><b>Answers</b></summary>
#
# 1. They are shuffled in the same way, and otherwise unchanged: attention alone sees a set of characters, not a
#    sequence. That is why positions were added first.
# 2. Each head works on its own slice of the projections, and those start with different random weights.
# 3. Four times the scores, so about four times the memory and time for this step. This is why every language model has
#    a longest context.
# </details>
#
# **Next:** [3c. Blocks](../3c_blocks/3c_blocks.ipynb) wraps attention in a block that can be stacked.
