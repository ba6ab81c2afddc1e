# %% [markdown]
# # 3c. Blocks: a layer you can stack
#
# Attention lets every character gather what it needs from the others. In this notebook it also gets time to
# think about what it gathered: you will write the **feed-forward network**, and join it with attention to a
# **transformer block**, the brick from which every large language model is built. On the way you will see why
# a tall stack of layers learns nothing at all, and the one plus sign that mends it.
#
# | TODO | you write | difficulty | minutes |
# |---|---|---|---|
# | 14 | `FeedForward.__init__`: two linear layers | ★☆☆ | 8 |
# | 15 | `FeedForward.forward`: widen, bend, narrow | ★☆☆ | 12 |
# | 16 | `TransformerBlock.__init__`: two norms, two halves | ★★☆ | 15 |
# | 17 | `TransformerBlock.forward`: norm, work, add; twice | ★★☆ | 25 |
#
# **What you need from before:** how a module is built (TODOs 4-5) and multi-head attention (TODOs 12-13). If
# one of them is unfinished, go on all the same: a stand-in takes its place and says so.
#
# Letters for shapes, as always: `B` texts in a batch, `T` positions in each, `C` features at each position
# (`embed_dim`), `H` heads (`num_heads`).

# %% locked="imports"
import torch
import torch.nn.functional as F
from torch import nn

from helpers import checks, parts, plots, widgets

# %%
MultiHeadAttention = parts.get("MultiHeadAttention")  # (B, T, C) -> (B, T, C) and the weights

# %% [markdown]
# ## First gather, then think
#
# What comes out of attention is an average of values. An average can *gather*: "the letter before me is a q".
# But it cannot *conclude*: "so a u comes next, unless the word is over". To conclude, a position has to
# combine its features in ways that no average and no single linear layer can.
#
# The smallest example is the absolute value: 3 becomes 3, and -3 becomes 3 as well. A linear layer draws a
# straight line, and no straight line does that. Two linear layers in a row do not help: doubling and then
# tripling is only multiplying by six, again a straight line. What helps is a **bend** between them. Take ReLU
# from TODO 5, which turns negative numbers into 0:
#
# | input | widen: times 1 and times -1 | bend: ReLU | narrow: add both |
# |---|---|---|---|
# | 3 | (3, -3) | (3, 0) | 3 |
# | -3 | (-3, 3) | (0, 3) | 3 |
#
# Widen, bend, narrow: that is a feed-forward network. Ours widens each position from $C$ to $4C$ features,
# which makes room for many bends, and narrows the result to $C$ again:
#
# $$\text{FeedForward}(x) = \text{GELU}(x\, W_1^\top + b_1)\, W_2^\top + b_2$$
#
# (The [original paper](https://arxiv.org/abs/1706.03762) has this in section 3.3, with ReLU as the bend and
# the same factor 4: 512 features became 2048.)
#
# ## A softer bend: GELU
#
# ReLU has a weak point: for every negative input its output is 0, and so is its slope. A unit that happens to
# be negative for all texts gets no gradient, and without a gradient it stays as it is for good. **GELU**
# bends softly instead. It multiplies $x$ by the probability $\Phi(x)$ that a number drawn from the normal
# distribution is smaller than $x$:
#
# $$\text{GELU}(x) = x \cdot \Phi(x)$$
#
# At $x = 1$ that probability is 0.84, so $\text{GELU}(1) = 0.84$. At $x = -1$ it is 0.16, so
# $\text{GELU}(-1) = -0.16$. Far to the right, $\Phi$ is nearly 1 and GELU is nearly $x$; far to the left it
# is nearly 0.
#
# Move `x` through both. Where do they differ most? And where is a slope 0, so that no gradient comes through?

# %%
widgets.gelu_relu()

# %%
x = torch.tensor([-3.0, -1.0, -0.5, 0.5, 1.0, 3.0])
x_relu, x_gelu = x.clone().requires_grad_(), x.clone().requires_grad_()
F.relu(x_relu).sum().backward()  # leaves the slope at each input in .grad
F.gelu(x_gelu).sum().backward()
print("    x    relu   slope    gelu   slope")
for row in zip(x, F.relu(x), x_relu.grad, F.gelu(x), x_gelu.grad):
    print(" ".join(f"{value.item():7.3f}" for value in row))

# %% [markdown]
# Look at the rows of -1 and -3. ReLU's slope is exactly 0 there. GELU's is small, but it is there, so the
# unit can still learn.
#
# ## TODO 14 and TODO 15: the feed-forward network
#
# **TODO 14** makes the two linear layers and a dropout. **TODO 15** runs them in order. Use PyTorch's
# [F.gelu](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gelu.html) as it comes. (It
# also offers a faster approximation by a tanh. We stay with the exact formula above.)

# %% todo="14-15"
class FeedForward(nn.Module):
    """Two linear layers with a GELU between them. Each position is worked on alone.

    embed_dim: C, the number of features at each position
    hidden_dim: the number of features in the middle; None means 4 * C
    dropout: share of the output set to zero while training
    """

    def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
        super().__init__()
        # TODO 14: self.expand, a linear layer from C to hidden_dim features;
        # self.project, a linear layer from hidden_dim back to C; both with bias.
        # And self.dropout, an nn.Dropout.
        ### BEGIN SOLUTION 14
        if hidden_dim is None:
            hidden_dim = 4 * embed_dim
        self.expand = nn.Linear(embed_dim, hidden_dim)
        self.project = nn.Linear(hidden_dim, embed_dim)
        self.dropout = nn.Dropout(dropout)
        ### END SOLUTION

    def forward(self, x):
        """x: (B, T, C). Returns (B, T, C)."""
        # TODO 15:
        #   widen with expand         (B, T, hidden_dim)
        #   bend with GELU            (B, T, hidden_dim)
        #   narrow with project       (B, T, C)
        #   dropout                   (B, T, C)
        ### BEGIN SOLUTION 15
        hidden = F.gelu(self.expand(x))  # (B, T, hidden_dim)
        return self.dropout(self.project(hidden))  # (B, T, C)
        ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: where have you seen this before?</summary>
#
# It is `TwoLayerNet` from TODOs 4-5 with other names, another bend, and a dropout at the end. `nn.Linear`
# works on the last dimension and leaves `B` and `T` alone, so nothing has to be reshaped.
# </details>
#
# <details><summary><b>Hint 2</b>: line by line</summary>
#
# First decide the width: `if hidden_dim is None: hidden_dim = 4 * embed_dim`. Then
# `nn.Linear(embed_dim, hidden_dim)`, `nn.Linear(hidden_dim, embed_dim)` and `nn.Dropout(dropout)`. In
# `forward`, call one after the other, with `F.gelu(...)` around the first.
# </details>

# %% test="14" points=2
checks.todo_14(FeedForward)
### BEGIN HIDDEN TESTS
_net = FeedForward(6, dropout=0.25)
_shapes = [tuple(_p.shape) for _layer in (_net.expand, _net.project) for _p in (_layer.weight, _layer.bias)]
assert _shapes == [(24, 6), (24,), (6, 24), (6,)], "expand: C to 4C, project: 4C to C"
assert isinstance(_net.dropout, nn.Dropout) and _net.dropout.p == 0.25
assert sum(_p.numel() for _p in _net.parameters()) == 24 * 6 + 24 + 6 * 24 + 6, "no other weights"
assert tuple(FeedForward(6, 10).expand.weight.shape) == (10, 6), "a hidden_dim that is given counts"
### END HIDDEN TESTS

# %% test="15" points=2
checks.todo_15(FeedForward)
### BEGIN HIDDEN TESTS
try:
    checks.todo_14(FeedForward, quiet=True)
    _made = FeedForward
except Exception:  # TODO 14 is not right: layers made here, so that this TODO is judged alone
    class _made(FeedForward):
        def __init__(self, *sizes, dropout):
            try:
                super().__init__(*sizes, dropout=dropout)
            except Exception:
                nn.Module.__init__(self)
            self.expand, self.project, self.dropout = nn.Linear(1, 2), nn.Linear(2, 1), nn.Dropout(dropout)

_net = _made(1, 2, dropout=0.5)
with torch.no_grad():
    _net.expand.weight.copy_(torch.tensor([[1.0], [-1.0]]))
    _net.project.weight.fill_(1.0)
    _net.expand.bias.zero_()
    _net.project.bias.zero_()
_x = torch.tensor([[[1.0], [-1.0], [2.0]]])
_out = _net.eval()(_x)  # gelu(x) + gelu(-x) = x erf(x / sqrt(2)): 1 gives the famous 68 %, 2 twice the 95 %
assert _out.shape == (1, 3, 1)
assert all(abs(_o - _e) < 1e-5 for _o, _e in zip(_out.flatten().tolist(), (0.6826895, 0.6826895, 1.9089995)))
_zeros = (_net.train()(torch.ones(1, 1000, 1)) == 0).sum().item()
assert 350 < _zeros < 650, "dropout sets about half of the outputs to zero while training"
### END HIDDEN TESTS

# %% [markdown]
# ### Look: each position thinks alone
#
# We change one position of a text, number 2, and watch which outputs move: first through attention, then
# through your feed-forward network.

# %%
torch.manual_seed(0)
attention = MultiHeadAttention(embed_dim=8, num_heads=2)
feed_forward = FeedForward(embed_dim=8)
x = torch.randn(1, 6, 8)  # (B, T, C)
changed = x.clone()
changed[0, 2] += 3  # only position 2
gathered = attention(changed)[0] - attention(x)[0]  # (B, T, C)
thought = feed_forward(changed) - feed_forward(x)  # (B, T, C)
moved = torch.cat([gathered, thought]).abs().amax(dim=-1)  # (2, T): the largest change of a feature
plots.show(plots.tensor_grid(moved, title="change at each position"))

# %% [markdown]
# Row 0 is attention: every position moves, because all of them look at position 2. Row 1 is the feed-forward
# network: position 2 moves and the rest is exactly 0. So the two halves share the work. Attention carries
# things *between* positions; the feed-forward network works *within* each position, with the same weights
# everywhere.
#
# ## The trouble with tall stacks
#
# One round of gathering and thinking is not much. We want to stack many. So let us stack 16 of your
# feed-forward networks and ask of each layer: how large is the gradient that arrives there? It has to travel
# from the loss at the top down to layer 0, and each layer on the way multiplies it by something. Suppose that
# every layer leaves a sixth of it. Then 15 layers leave $(1/6)^{15}$, about two parts in a million million.
# Such a layer hears nothing of the loss.
#
# The cure looks too simple. Do not *replace* $x$ by what the layer computes; *add* it:
#
# $$x \leftarrow x + f(x)$$
#
# This is a **residual connection** ([He and others, 2015](https://arxiv.org/abs/1512.03385)). Its slope is
# $1 + f'(x)$. However small $f'$ is, the 1 stays, and the gradient walks down the stack through these ones as
# if on a staircase. Try it, and move the number of layers: what does each further layer do to the two lines?

# %%
torch.manual_seed(0)
stack = nn.ModuleList(FeedForward(embed_dim=64) for _ in range(16))


def gradient_sizes(residual, layers):
    """The norm of the gradient that reaches the input of each of the first `layers` layers."""
    torch.manual_seed(1)
    x, target = torch.randn(2, 8, 10, 64)  # (B, T, C) each
    x.requires_grad_()
    inputs = []
    for layer in stack[:layers]:
        x.retain_grad()  # PyTorch usually forgets the gradients of what lies in between
        inputs.append(x)
        x = x + layer(x) if residual else layer(x)
    F.mse_loss(x, target).backward()
    return [x.grad.norm().item() for x in inputs]


widgets.gradients(gradient_sizes, layers=16)

# %% [markdown]
# The scale on the left is logarithmic: equal steps are equal factors. Without the plus sign, the lowest layers
# get next to nothing, and less with each further layer. With it, the lowest layer gets even a little more than the
# highest.
#
# ## Layer norm: the same size for everyone
#
# Residuals bring a small trouble of their own. When every layer adds something, the numbers grow from layer
# to layer, and some positions grow more than others. **Layer norm** brings each position back to a common
# size before it enters a layer. It takes the $C$ features of *one* position, subtracts their mean $\mu$ and
# divides by their standard deviation $\sigma$:
#
# $$\text{LayerNorm}(x) = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \cdot \gamma + \beta$$
#
# Take the four features $(2, 4, 6, 8)$. Their mean is 5, the squared distances from it are 9, 1, 1, 9, so
# $\sigma^2 = 5$ and $\sigma \approx 2.24$. The result is $(-1.34, -0.45, 0.45, 1.34)$. For
# $(200, 400, 600, 800)$ it is the very same: only the pattern is left, not the size. ($\epsilon$ is 0.00001
# and keeps us from dividing by 0. $\gamma$ and $\beta$ are one learned number each per feature; they start at
# 1 and 0, so at first they do nothing.)
#
# Below the numbers, twelve positions with features of very different size. Take one position, multiply its
# features by 10 and add 5: what becomes of the right panel? Is there any factor that the norm does not undo?

# %%
norm = nn.LayerNorm(4)
x = torch.tensor([[2.0, 4.0, 6.0, 8.0], [200.0, 400.0, 600.0, 800.0]])  # (T, C) = (2, 4)
with torch.no_grad():
    print(norm(x))

torch.manual_seed(0)
size, middle = torch.linspace(0.5, 4, 12), torch.linspace(-3, 3, 12)  # of 12 very different positions
x = torch.randn(12, 16) * size[:, None] + middle[:, None]  # (T, C)
widgets.layer_norm(nn.LayerNorm(16), x)

# %% [markdown]
# ## Before or after?
#
# Where does the norm go? There are two answers, and they look almost alike:
#
# | | formula | who does it |
# |---|---|---|
# | post-norm | $x \leftarrow \text{LayerNorm}(x + f(x))$ | the original paper of 2017 |
# | **pre-norm** | $x \leftarrow x + f(\text{LayerNorm}(x))$ | GPT-2 and most models since, and you |
#
# In post-norm every norm stands *on* the staircase: whatever travels from the top to the bottom must pass
# through all of them. In pre-norm the norms stand beside it, at the door of each layer, and the way from top
# to bottom is free. The difference in training is large, and you will see it at the end of this notebook.
# ([Xiong and others, 2020](https://arxiv.org/abs/2002.04745), explain it in detail.)
#
# ## TODO 16 and TODO 17: the block
#
# Now all pieces are on the table. A block is two residual steps, one for gathering and one for thinking:
#
# ```
# x --+---------------------------> (+) --+------------------------------> (+) --> x
#     |                              ^    |                                 ^
#     +--> norm1 --> attention ------+    +--> norm2 --> feed-forward ------+
# ```
#
# In formulas:
#
# $$x \leftarrow x + \text{attention}(\text{norm1}(x)) \qquad
# x \leftarrow x + \text{feed-forward}(\text{norm2}(x))$$
#
# What goes in has the shape `(B, T, C)`, and so has what comes out. That is what makes blocks stackable.

# %% todo="16-17"
class TransformerBlock(nn.Module):
    """One layer of a transformer: attention and a feed-forward network, each behind a norm, added to x.

    embed_dim: C, must be divisible by num_heads
    num_heads: H
    dropout: share set to zero while training, in attention and in the feed-forward network
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0):
        super().__init__()
        # TODO 16: two layer norms of C features, self.norm1 and self.norm2;
        # self.attention, a MultiHeadAttention; self.feed_forward, a FeedForward with hidden size 4C.
        # Hand dropout on to both.
        ### BEGIN SOLUTION 16
        self.norm1 = nn.LayerNorm(embed_dim)
        self.attention = MultiHeadAttention(embed_dim, num_heads, dropout)
        self.norm2 = nn.LayerNorm(embed_dim)
        self.feed_forward = FeedForward(embed_dim, 4 * embed_dim, dropout)
        ### END SOLUTION

    def forward(self, x, mask=None):
        """x: (B, T, C). mask: (T, T), 0 or False where looking is forbidden; None: all may look.

        Returns (B, T, C).
        """
        # TODO 17:
        #   norm1, then attention with the mask   (B, T, C)   (its second result is not needed)
        #   add that to x                         (B, T, C)
        #   norm2, then the feed-forward network  (B, T, C)
        #   add that too                          (B, T, C)
        ### BEGIN SOLUTION 17
        gathered, _ = self.attention(self.norm1(x), mask)  # (B, T, C)
        x = x + gathered
        return x + self.feed_forward(self.norm2(x))  # (B, T, C)
        ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: what can go wrong here?</summary>
#
# `attention` returns two things, the output and the weights; only the output can be added. The norm's result
# goes into the layer and nowhere else: what you add to is `x` itself. And write `x = x + ...`, not
# `x += ...`, which would change the tensor of whoever called you.
# </details>
#
# <details><summary><b>Hint 2</b>: line by line</summary>
#
# The norms are `nn.LayerNorm(embed_dim)`. In `forward`:
# `gathered, weights = self.attention(self.norm1(x), mask)`, then a new `x` that is the sum of `x` and
# `gathered`; then the same with `self.feed_forward` and `self.norm2`, which take the new `x`.
# </details>

# %% test="16" points=3
checks.todo_16(TransformerBlock)
### BEGIN HIDDEN TESTS
_own, FeedForward = globals().get("FeedForward"), parts.get("FeedForward")  # TODOs 14 and 15 are judged above
try:
    _block = TransformerBlock(6, 3, dropout=0.3)
finally:
    FeedForward = _own
assert all(isinstance(_norm, nn.LayerNorm) for _norm in (_block.norm1, _block.norm2))
assert _block.norm1 is not _block.norm2
assert isinstance(_block.attention, MultiHeadAttention) and _block.attention.dropout.p == 0.3
assert tuple(_block.feed_forward.expand.weight.shape) == (24, 6) and _block.feed_forward.dropout.p == 0.3
assert sum(_p.numel() for _p in _block.parameters()) == 12 * 6 * 6 + 13 * 6
### END HIDDEN TESTS

# %% test="17" points=5
checks.todo_17(TransformerBlock)
### BEGIN HIDDEN TESTS
_own, FeedForward = globals().get("FeedForward"), parts.get("FeedForward")  # TODOs 14 and 15 are judged above
torch.manual_seed(17)
try:
    checks.todo_16(TransformerBlock, quiet=True)
    _block = TransformerBlock(12, 3)
except Exception:  # TODO 16 is not right: layers made here, so that this TODO is judged alone
    class _Block(TransformerBlock):
        def __init__(self):
            try:
                super().__init__(12, 3)
            except Exception:
                nn.Module.__init__(self)
            self.norm1, self.norm2, self.attention = nn.LayerNorm(12), nn.LayerNorm(12), MultiHeadAttention(12, 3)
            self.feed_forward = FeedForward(12)
    _block = _Block()
finally:
    FeedForward = _own
_torch = nn.TransformerEncoderLayer(12, 3, 48, 0.0, activation="gelu", batch_first=True, norm_first=True)
_a, _f = _block.attention, _block.feed_forward
_pairs = [(_torch.self_attn.out_proj, _a.out_proj), (_torch.linear1, _f.expand), (_torch.linear2, _f.project),
          (_torch.norm1, _block.norm1), (_torch.norm2, _block.norm2)]
_x = torch.randn(2, 5, 12)
_before = _x.clone()
_mask = torch.ones(5, 5).tril().bool()
with torch.no_grad():
    for _p in _block.parameters():
        _p.normal_(std=0.4)
    for _theirs, _ours in _pairs:
        _theirs.load_state_dict(_ours.state_dict())
    for _kind in ("weight", "bias"):
        _qkv = torch.cat([getattr(_l, _kind) for _l in (_a.q_proj, _a.k_proj, _a.v_proj)])
        getattr(_torch.self_attn, "in_proj_" + _kind).copy_(_qkv)
    for _m in (None, _mask):
        _out, _true = _block(_x, _m), _torch(_x, src_mask=None if _m is None else ~_m)
        assert type(_out) is torch.Tensor and _out.shape == (2, 5, 12)
        assert (_out - _true).abs().max().item() < 1e-4
assert torch.equal(_x, _before), "the input must stay as it was"
### END HIDDEN TESTS

# %% [markdown]
# ### Look: what each half adds
#
# Six fresh blocks of yours, and twelve random vectors in place of embedded characters. The way of $x$ from
# bottom to top, to which each half only adds, is called the **residual stream**. Each row is one half of a
# block; the numbers say how large (by the norm) what it adds is, in percent of the stream that it adds to.
# Choose a half and a character. The first character can look at itself only, the last at all twelve: how does
# that show in the rows of attention?

# %%
torch.manual_seed(0)
blocks = nn.ModuleList(TransformerBlock(embed_dim=64, num_heads=4) for _ in range(6))
text = "To be or not"
widgets.residual(blocks, torch.randn(len(text), 64), text)

# %% [markdown]
# Whoever looks at many gets an average of many random values, and averaging makes small: so attention adds
# most to the first character. On average a half adds only about a fifth. A fresh block hands its input on much
# as it is, and that is a good place to start learning from.
#
# ### Look: where the parameters are
#
# One block of the size that our language model will have:

# %%
block = TransformerBlock(embed_dim=128, num_heads=4)
total = sum(p.numel() for p in block.parameters())
for name, part in block.named_children():
    count = sum(p.numel() for p in part.parameters())
    print(f"{name:12} {count:8,} parameters  {count / total:6.1%}")
print(f"{'together':12} {total:8,}")

# %% [markdown]
# You can check this in your head. Attention has four matrices of $C \times C$, the feed-forward network two
# of $4C \times C$: four against eight, so two thirds of a block do the thinking and one third the gathering.
# In all about $12\,C^2$ numbers. The norms hardly count.
#
# ### Play: a task that needs both halves
#
# Here is a line of random digits: `7 4 9 9 2`. *At each position, add the digit there to the one before it,
# and say the last digit of the sum:* after 7 comes 4, so say 1; after 4 comes 9, so say 3. The digit before
# must be gathered, and adding it takes some thought. We train a whole block, then one whose feed-forward
# network is silenced, then one whose attention is silenced. (To silence a half, we set its last layer to zero
# and keep it there.)

# %%
TokenEmbedding = parts.get("TokenEmbedding")
PositionalEncoding = parts.get("PositionalEncoding")


def silence(layer):
    for p in layer.parameters():
        nn.init.zeros_(p).requires_grad_(False)


def learn_sums(silenced=None, steps=150):
    """Train one block on the sums; returns the share of right answers in the last batch."""
    torch.manual_seed(2)
    embed = nn.Sequential(TokenEmbedding(10, 32), PositionalEncoding(32, max_len=12))
    block = TransformerBlock(embed_dim=32, num_heads=2)
    guess = nn.Linear(32, 10)
    if silenced == "attention":
        silence(block.attention.out_proj)
    if silenced == "feed_forward":
        silence(block.feed_forward.project)
    optimizer = torch.optim.AdamW(nn.ModuleList([embed, block, guess]).parameters(), lr=0.005)
    mask = torch.ones(12, 12).tril()
    for _ in range(steps):
        digits = torch.randint(10, (64, 12))  # (B, T)
        sums = (digits[:, 1:] + digits[:, :-1]) % 10  # (B, T - 1): position 0 has nothing before it
        logits = guess(block(embed(digits), mask))[:, 1:]  # (B, T - 1, 10)
        optimizer.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), sums.flatten()).backward()
        optimizer.step()
    return (logits.argmax(dim=-1) == sums).float().mean().item()


print(f"the whole block        {learn_sums():4.0%} right")
print(f"without feed-forward   {learn_sums('feed_forward'):4.0%} right")
print(f"without attention      {learn_sums('attention'):4.0%} right (guessing gives 10%)")

# %% [markdown]
# Without attention a position knows only its own digit, and all ten sums stay equally likely: it can only
# guess. Without the feed-forward network it has both digits in its hands but adds them badly. Together they
# get (nearly) every sum right.
#
# ### Play: pre-norm against post-norm
#
# Six blocks, the same task, the same numbers to start from. First your block as it is. Then its pieces, put
# together as in the paper of 2017. Watch the loss, which starts near $\ln 10 \approx 2.30$: that is what ten
# equally likely answers cost.

# %%
def post_norm(block, x, mask):
    x = block.norm1(x + block.attention(x, mask)[0])
    return block.norm2(x + block.feed_forward(x))


def learn_sums_deep(step_through, steps=200):
    """Train six blocks on the sums; prints the mean loss of every 40 steps."""
    torch.manual_seed(2)
    embed = nn.Sequential(TokenEmbedding(10, 32), PositionalEncoding(32, max_len=8))
    blocks = nn.ModuleList(TransformerBlock(embed_dim=32, num_heads=2) for _ in range(6))
    guess = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 10))
    optimizer = torch.optim.AdamW(nn.ModuleList([embed, blocks, guess]).parameters(), lr=0.003)
    mask = torch.ones(8, 8).tril()
    losses = []
    for _ in range(steps):
        digits = torch.randint(10, (16, 8))  # (B, T)
        sums = (digits[:, 1:] + digits[:, :-1]) % 10
        x = embed(digits)  # (B, T, C)
        for block in blocks:
            x = step_through(block, x, mask)
        loss = F.cross_entropy(guess(x)[:, 1:].flatten(0, 1), sums.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return " ".join(f"{sum(losses[i:i + 40]) / 40:5.2f}" for i in range(0, steps, 40))


print("pre-norm ", learn_sums_deep(lambda block, x, mask: block(x, mask)))
print("post-norm", learn_sums_deep(post_norm))

# %% [markdown]
# The pre-norm stack is on its way; the post-norm stack has not left the start. It can be trained, but it
# wants a gentle beginning: tiny steps at first, growing slowly (*warm-up*). Pre-norm forgives far more, and
# that is why nearly everyone moved the norm.
#
# **Try it:** four blocks instead of six. Does post-norm get away from 2.30 now? And with six blocks, but a
# learning rate of 0.001?
#
# ## Recap
#
# - Attention gathers between positions; the feed-forward network thinks within each position. Widen, bend,
#   narrow.
# - GELU bends softly, so that a unit with negative input can still learn.
# - The plus sign of a residual connection lets gradients reach the bottom of a tall stack.
# - Layer norm gives each position the same size; in pre-norm it stands at the door of each layer, beside the
#   way of the gradient.
# - A block keeps the shape `(B, T, C)`, so blocks can be stacked.
#
# This is how far you are in the course: what has passed and when, and what comes next.

# %%
helpers.progress()

# %% [markdown]
# ## Three questions to think about
#
# 1. Someone leaves out GELU and keeps both linear layers of the feed-forward network. What have they gained
#    by widening to $4C$?
# 2. Layer norm uses the mean over the features of one position. Why not the mean over all positions of the
#    text?
# 3. In a stack of pre-norm blocks, no norm ever touches $x$ itself on its way up. What does that mean for the
#    last layer of a model?
#
# <details><summary><b>Answers</b></summary>
#
# 1. Nothing: two linear layers without a bend between them are one linear layer from $C$ to $C$.
# 2. Then position 3 would depend on position 7, through the mean. With a causal mask that would be a leak
#    from the future; and a text would be judged differently depending on what else is in it.
# 3. What arrives at the top is a sum of everything that was added on the way, and its size has grown. So a
#    model puts one last norm after the last block. You will meet it as `final_norm` in the next notebook.
# </details>
#
# **Next:** [4. The model](../4_model/4_model.ipynb) stacks your blocks and makes them speak.
