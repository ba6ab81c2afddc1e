# %% [markdown]
# # 3a. Embeddings: what a character is, and where it stands
#
# A network calculates with numbers, but a text is made of characters. In this notebook you build the bridge between
# the two. First each character gets a row of numbers of its own, which will come to say *what* it is. Then a second
# row is added that says *where* it stands. What comes out is what attention, in the next notebook, works with.
#
# | TODO | you write | difficulty | minutes |
# |---|---|---|---|
# | 6 | `TokenEmbedding.__init__`: a table with a row for each character | ★☆☆ | 10 |
# | 7 | `TokenEmbedding.forward`: look the rows up | ★☆☆ | 5 |
# | 8 | `sinusoidal_table`: a row for each position | ★★★ | 30 |
# | 9 | `PositionalEncoding`: add it, and keep it in the right place | ★★☆ | 15 |
#
# **What you need from before:** broadcasting (before TODO 2) and how a module is built (TODOs 4-5). If one of them is
# unfinished, go on all the same: nothing here depends on your code from there.
#
# Letters for shapes, the same in the whole course: `B` texts in a batch, `T` positions in each, `C` features at each
# position (`embed_dim`), and `V` different characters (`vocab_size`).

# %% locked="imports"
import math

import torch
import torch.nn.functional as F
from torch import nn

from helpers import checks, data, plots, widgets

# %% [markdown]
# ## From characters to numbers
#
# The first step is simple: sort the different characters, and number them. The number of a character is its **id**.
# (You will write this properly in `4_model`.)

# %%
text = "to be or not to be"
chars = sorted(set(text))  # the V different characters
ids = torch.tensor([[chars.index(c) for c in text]])  # (B, T): one text
print("V =", len(chars), chars)
print("ids:", ids.tolist(), "with shape", tuple(ids.shape))

# %% [markdown]
# May a network calculate with these ids? Better not. Here `t` is 6 and `n` is 3, but nothing about `t` is twice as
# much as in `n`. Ids are names, not amounts. We need a way to say "this one, and no other".
#
# ## A table to look things up in
#
# One such way is a row of `V` numbers, all 0 but for a single 1 at the character's own place. That is called
# **one-hot**. Multiplied with a table of `V` rows, a one-hot row has a pleasant effect: every row of the table is
# taken 0 times, except one. The product *is* that row.

# %%
small_table = torch.tensor([[0.1, 0.9],  # the row of id 0
                            [0.5, 0.5],  # the row of id 1
                            [0.7, -0.3]])  # the row of id 2; so V = 3, C = 2
some_ids = torch.tensor([2, 0, 2])  # (T,)

one_hot = F.one_hot(some_ids, num_classes=3).float()  # (T, V)
print("one_hot:\n", one_hot, sep="")
print("one_hot @ small_table:\n", one_hot @ small_table, sep="")  # (T, V) @ (V, C) -> (T, C)
print("small_table[some_ids]:\n", small_table[some_ids], sep="")  # (T, C)

# %% [markdown]
# The last two agree, and the last one multiplies nothing: it just looks up rows. That is an **embedding**: a table
# with a row of `C` numbers for each character, from which rows are looked up by id. Such a row is called the
# character's *vector*. Since the lookup is the same as a matrix product, gradients flow into the table like into any
# other weights, and the vectors can be learned.
#
# ## TODO 6 and TODO 7: the embedding as a module
#
# [nn.Embedding](https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html) is exactly this table, with
# random numbers to start with. **TODO 6** makes it, **TODO 7** uses it. It takes ids of any shape and puts one more
# dimension at the end:
#
# $$\text{ids } (B, T) \longrightarrow \text{vectors } (B, T, C)$$
#
# (If you know the paper quoted below: there the vectors are also multiplied by $\sqrt{C}$. We leave that out.)

# %% todo="6-7"
class TokenEmbedding(nn.Module):
    """A vector for each character.

    vocab_size: V, the number of different characters
    embed_dim: C, the number of features of each vector
    """

    def __init__(self, vocab_size, embed_dim):
        super().__init__()
        # TODO 6: self.embedding, an nn.Embedding with V rows of C features.
        ### BEGIN SOLUTION 6
        self.embedding = nn.Embedding(vocab_size, embed_dim)
        ### END SOLUTION

    def forward(self, ids):
        """ids: (B, T), int64, each from 0 to V - 1.

        Returns vectors (B, T, C).
        """
        # TODO 7: look up the vector of each id   (B, T, C)
        ### BEGIN SOLUTION 7
        return self.embedding(ids)  # (B, T, C)
        ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: made once, used often</summary>
#
# As in TODO 4: a layer is made in `__init__` and kept in `self`, then called in `forward` like a function.
# `nn.Embedding` wants two sizes: how many rows, and how long each row is.
# </details>
#
# <details><summary><b>Hint 2</b>: how short may it be?</summary>
#
# One line each. `self.embedding = nn.Embedding(rows, row_length)`, and in `forward`, call `self.embedding` with the
# ids and return what it gives. No one-hot and no matrix product are needed: the lookup does the same.
# </details>

# %% test="6" points=2
checks.todo_6(TokenEmbedding)
### BEGIN HIDDEN TESTS
_layer = TokenEmbedding(11, 5)
assert isinstance(_layer.embedding, nn.Embedding)
assert _layer.embedding.weight.shape == (11, 5), "V rows and C columns"
assert any(_p is _layer.embedding.weight for _p in _layer.parameters()), "an optimizer finds it"
### END HIDDEN TESTS

# %% test="7" points=2
checks.todo_7(TokenEmbedding)
### BEGIN HIDDEN TESTS
try:
    _layer = TokenEmbedding(11, 5)
    assert isinstance(_layer.embedding, nn.Embedding) and _layer.embedding.weight.shape == (11, 5)
except Exception:  # TODO 6 has a test of its own
    _layer = nn.Module.__new__(TokenEmbedding)
    nn.Module.__init__(_layer)
    _layer.embedding = nn.Embedding(11, 5)
_ids = torch.tensor([[0, 10, 3, 3], [7, 1, 0, 10], [2, 2, 2, 9]])
_true = F.one_hot(_ids, 11).float() @ _layer.embedding.weight
_out = _layer(_ids)
assert _out.shape == (3, 4, 5) and (_out - _true).abs().max().item() < 1e-6
### END HIDDEN TESTS

# %% [markdown]
# ### Look: vectors before any learning
#
# How alike are two vectors? A good measure is the **cosine similarity**: their dot product, divided by their lengths.
# It is 1 if they point the same way, 0 if they have nothing to do with each other, and -1 if they are opposites.

# %%
torch.manual_seed(0)
embed = TokenEmbedding(vocab_size=len(chars), embed_dim=16)
vectors = embed(ids)  # (B, T, C)
print("ids", tuple(ids.shape), "-> vectors", tuple(vectors.shape))
same = vectors[0, 0].equal(vectors[0, 13])
print("'t' at position 0 and 't' at position 13 have the same vector:", same)

all_ids = torch.arange(len(chars)).reshape(1, -1)  # (1, V): each character once
plots.show(plots.similarity(embed(all_ids)[0], chars))

# %% [markdown]
# Each character equals itself (the diagonal). Everything else is chance: the vectors are random, and mean nothing
# yet. (The open box at the edge is the space.)
#
# ### Play: let the letters find their like
#
# Meaning comes from use. We take a piece of Shakespeare and ask a very small network to guess the next character from
# the present one: your embedding, then one linear layer. If no copy of his plays is here yet, `load_text` fetches
# one, or, without a network, takes a play that comes with the course. The loop is the one you know from `2_modules`;
# it takes a few seconds.

# %%
play = data.load_text()[:200_000].lower()
play_chars = sorted(set(play))
number = {c: i for i, c in enumerate(play_chars)}
play_ids = torch.tensor([number[c] for c in play])  # (200000,)

torch.manual_seed(0)
letter_embed = TokenEmbedding(len(play_chars), 8)
guess = nn.Linear(8, len(play_chars))
optimizer = torch.optim.AdamW([*letter_embed.parameters(), *guess.parameters()],
                              lr=0.03, weight_decay=1.0)  # weight_decay: what is not needed fades away
for step in range(300):
    at = torch.randint(len(play_ids) - 1, (256, 1))  # (B, T) = (256, 1): random places in the text
    scores = guess(letter_embed(play_ids[at]))  # (B, T, V): one score for each possible next character
    loss = F.cross_entropy(scores.flatten(0, 1), play_ids[at + 1].flatten())  # small: the right one leads
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0 or step == 299:
        print(f"step {step:3d}: loss {loss.item():.2f}")

letters = [c for c in "aeiou" + "bcdfghklmnprstvw" if c in number]
letter_ids = torch.tensor([[number[c] for c in letters]])  # (1, 21): vowels first
plots.show(plots.similarity(letter_embed(letter_ids)[0], letters))

# %% [markdown]
# Look at the top left corner: the vowels `a e i o u` have become more alike to each other than to most consonants.
# Nobody told the network what a vowel is. But after a vowel other characters follow than after a consonant, and
# letters that are used alike end up with vectors that are alike. With words instead of letters, the same effect puts
# *king* near *queen*.
#
# ## Where does it stand?
#
# Embed `no` and embed `on`: you get the same two vectors, only in another order. And attention, as you will see, does
# not notice the order at all. So the position must be written into the vectors themselves: to the vector of each
# character we **add** a vector that belongs to its position.
#
# Which one? The bare number of the position will not do: at position 1000 it would drown everything else. A clock
# does better. Its hands never leave the dial, and yet it names every second of half a day, because one hand is fast,
# one slower, one very slow. The fast hand tells neighbours apart, the slow one tells far from near.
#
# Our clock has $C / 2$ hands. Where a hand points is given by two numbers, its sine and its cosine, so that $C$
# numbers describe all hands. At position $p$, hand number $i$ has turned by the angle $p / 10000^{2i/C}$ (in radians:
# a full turn is $2\pi$):
#
# $$\text{table}_{p,\,2i} = \sin\left(\frac{p}{10000^{\,2i/C}}\right) \qquad
# \text{table}_{p,\,2i+1} = \cos\left(\frac{p}{10000^{\,2i/C}}\right)$$
#
# This is the encoding of [Attention Is All You Need (Vaswani and others, 2017)](https://arxiv.org/abs/1706.03762),
# section 3.5. Written out for $C = 4$, so two hands, the first with the divisor $10000^0 = 1$ and the second with
# $10000^{2/4} = 100$:
#
# | position | $\sin(p)$ | $\cos(p)$ | $\sin(p/100)$ | $\cos(p/100)$ |
# |---|---|---|---|---|
# | 0 | 0.00 | 1.00 | 0.00 | 1.00 |
# | 1 | 0.84 | 0.54 | 0.01 | 1.00 |
# | 2 | 0.91 | -0.42 | 0.02 | 1.00 |
# | 3 | 0.14 | -0.99 | 0.03 | 1.00 |
#
# Two reasons for just these waves:
#
# - **There are waves of many lengths.** A full turn takes $2\pi \cdot 10000^{2i/C}$ positions: 6.3 for the fastest
#   hand, and for the slowest tens of thousands, if there are many. No two positions of a text have the same row.
# - **The dot product of two rows depends only on their distance.** Each hand contributes
#   $\sin a \sin b + \cos a \cos b = \cos(a - b)$, where $a$ and $b$ are its angles at the two positions, and $a - b$
#   is their distance divided by a constant. So "three positions back" looks the same at the start of a text and at
#   its end.
#
# ## TODO 8: the table of positions
#
# Even columns hold sines and odd columns hold the cosines of the same angles: they take turns. If $C$ is odd, the
# last sine has no cosine beside it. No loop is needed: a column of positions and a row of divisors meet by
# broadcasting.

# %% todo="8"
def sinusoidal_table(max_len, embed_dim):
    """A row for each position: sines and cosines of many wavelengths, in turns.

    max_len: the number of positions, counted from 0
    embed_dim: C, the number of features; may be odd, then the last column is a sine
    Returns (max_len, C), float32.
    Source of the formula: Vaswani and others 2017, section 3.5.
    """
    # TODO 8:
    #   positions as a column                                  (max_len, 1)
    #   divisors 10000 ** (2i / C), one for each sine          (columns with a sine,)
    #   angles: positions / divisors                           (max_len, columns with a sine)
    #   table: sines in columns 0, 2, 4, ..., cosines in 1, 3, 5, ...   (max_len, C)
    ### BEGIN SOLUTION 8
    positions = torch.arange(max_len, dtype=torch.float64).reshape(max_len, 1)  # (max_len, 1); float64 for long texts
    divisors = 10000.0 ** (torch.arange(0, embed_dim, 2, dtype=torch.float64) / embed_dim)  # (ceil(C / 2),)
    angles = positions / divisors  # (max_len, ceil(C / 2))
    table = torch.zeros(max_len, embed_dim)  # (max_len, C)
    table[:, 0::2] = torch.sin(angles)
    table[:, 1::2] = torch.cos(angles[:, : embed_dim // 2])  # with an odd C there is one cosine less
    return table
    ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: what is 2i?</summary>
#
# The number of the even column itself: 0, 2, 4, ... That is `torch.arange(0, embed_dim, 2)`. Divide it by
# `embed_dim`, then take `10000 ** that`. A column of shape `(max_len, 1)`, divided by a row, gives every angle at
# once.
# </details>
#
# <details><summary><b>Hint 2</b>: every second column</summary>
#
# Start with `table = torch.zeros(max_len, embed_dim)`. Then `table[:, 0::2]` means columns 0, 2, 4, ..., and
# `table[:, 1::2]` means columns 1, 3, 5, ...; you can assign to both. With an odd `embed_dim` there is one cosine
# less than there are sines: cut the angles to the first `embed_dim // 2` columns before the cosine.
# </details>

# %% test="8" points=4
checks.todo_8(sinusoidal_table)
### BEGIN HIDDEN TESTS
for _max_len, _C in ((4, 4), (50, 12), (9, 7), (3, 1)):
    _table = sinusoidal_table(_max_len, _C)
    assert type(_table) is torch.Tensor and _table.dtype == torch.float32 and tuple(_table.shape) == (_max_len, _C)
    for _p in range(_max_len):
        for _j in range(_C):
            _angle = _p / 10000 ** ((_j - _j % 2) / _C)
            _true = math.cos(_angle) if _j % 2 else math.sin(_angle)
            assert abs(_table[_p, _j].item() - _true) < 1e-4, f"position {_p}, column {_j}"
### END HIDDEN TESTS

# %% [markdown]
# ### Look: the clock, drawn
#
# Row 1 should begin with the 0.84 and 0.54 of the little table above: the fastest hand is the same for every $C$.
# Then your table becomes a clock. Move **position**, with the mouse or the arrow keys: which hands run, and which
# hardly move? The map below them is the table itself, a row for each position and a column for each of the 32 numbers
# added there. On the left the fast hands flicker from row to row; on the right the slow ones have hardly begun to move.
# At the bottom stands the chosen position once for each **embed_dim**. Choose another: which hand is the same in all of
# them, and where do the new ones come in?

# %%
table = sinusoidal_table(max_len=64, embed_dim=32)
print("row 1 begins:", [round(v, 2) for v in table[1, :4].tolist()])
widgets.positions(sinusoidal_table)

# %% [markdown]
# A column of the map, drawn as a curve, is a wave. Here are three. Which dimensions are slow enough to make less than
# one full turn in these 64 positions? And what do dimensions 4 and 5 have in common?

# %%
widgets.waves(table)

# %% [markdown]
# Dimension 0 needs 6.3 positions for a full turn, dimension 4 about 20, dimension 8 about 63. Dimension 5 is the cosine
# of the same hand as dimension 4: the same wave, a quarter of a turn ahead.
#
# And how alike are two positions? Move **position** once more, and watch the solid curve.

# %%
widgets.position_similarity(sinusoidal_table)

# %% [markdown]
# The curve stays where it is; only a different part of it is seen. What counts is the distance alone, just as the
# formula promised, and so the map consists of stripes along the diagonal. Near positions are alike, far ones on the
# whole less so. **Try it:** choose 4 for **embed_dim**, then 2. What is lost when the clock has only two hands, or one?
#
# ## TODO 9: add it, and keep it in the right place
#
# Now the table becomes part of a module, and a question comes up: is it a parameter? A parameter is learned: the
# optimizer would change it. Our table is calculated once and right from the start. But a plain attribute,
# `self.table = ...`, would not do either: `.to("cuda")` would leave it behind, and the first addition on a graphics
# card would fail. For tensors that **belong to a module but are not learned**, PyTorch has a third kind, the
# **buffer**:
#
# | | parameter | buffer | plain attribute |
# |---|---|---|---|
# | changed by the optimizer | yes | no | no |
# | moves with `.to(...)` | yes | yes | no |
# | in the `state_dict` | yes | yes | no |
#
# You make one with
# [register_buffer](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_buffer).
# After `self.register_buffer("table", ...)` it is `self.table`.
#
# Two more things: a text may be shorter than the table, so only the first `T` rows are added. And a text longer than
# the table has positions without a row: there a clear error is better than a strange one.

# %% todo="9"
class PositionalEncoding(nn.Module):
    """Adds to the vector at each position the table's row for that position.

    embed_dim: C
    max_len: the longest text it can take, in positions
    """

    def __init__(self, embed_dim, max_len):
        super().__init__()
        # TODO 9: keep sinusoidal_table(max_len, embed_dim) as a buffer named "table".   (max_len, C)
        ### BEGIN SOLUTION 9
        self.register_buffer("table", sinusoidal_table(max_len, embed_dim))  # (max_len, C)
        ### END SOLUTION

    def forward(self, x):
        """x: (B, T, C).

        Returns x plus the rows of the first T positions, (B, T, C).
        Raises ValueError if T is larger than max_len.
        """
        # TODO 9: if T is larger than max_len, raise a ValueError that names both.
        # Then add the first T rows of the table to x   (B, T, C)
        ### BEGIN SOLUTION 9
        T = x.shape[1]
        if T > len(self.table):
            raise ValueError(f"x has T = {T} positions, but max_len is {len(self.table)}")
        return x + self.table[:T]  # (B, T, C) + (T, C) -> (B, T, C)
        ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: (B, T, C) plus (T, C)?</summary>
#
# Broadcasting again: flush right, `T` meets `T` and `C` meets `C`, and the missing `B` is filled in. Every text gets
# the same rows. `T` is `x.shape[1]`, and the table knows its own length: `len(self.table)`.
# </details>
#
# <details><summary><b>Hint 2</b>: the pieces</summary>
#
# `self.register_buffer("table", sinusoidal_table(max_len, embed_dim))`: watch the order of the two sizes, it differs
# from that of `__init__`. The first `T` rows are `self.table[:T]`. Return `x + ...` and not `x += ...`, which would
# change the tensor that the caller still holds.
# </details>

# %% test="9" points=3
checks.todo_9(PositionalEncoding)
### BEGIN HIDDEN TESTS
def _known_table(max_len, embed_dim):  # so that a gap in TODO 8 costs only TODO 8
    _j = torch.arange(embed_dim)
    _angle = torch.outer(torch.arange(max_len).double(), 10000.0 ** (-(_j - _j % 2).double() / embed_dim))
    return torch.where(_j % 2 == 0, _angle.sin(), _angle.cos()).float()


_own, sinusoidal_table = globals().get("sinusoidal_table"), _known_table
try:
    _layer = PositionalEncoding(6, 10)
    _x = torch.randn(3, 7, 6)
    _before = _x.clone()
    assert (_layer(_x) - _x - _known_table(10, 6)[:7]).abs().max().item() < 1e-5
    assert _x.equal(_before), "x itself must stay as it is"
    assert "table" in dict(_layer.named_buffers()) and not list(_layer.parameters())
    assert (_layer.table.reshape(10, 6) - _known_table(10, 6)).abs().max().item() < 1e-5
    assert _layer.to(torch.float64)(_x.double()).dtype == torch.float64
    assert _layer(torch.zeros(1, 10, 6).double()).shape == (1, 10, 6)
    try:
        _layer(torch.zeros(1, 11, 6).double())
    except ValueError:
        pass
    else:
        raise AssertionError("11 positions do not fit into a table of 10: that needs a ValueError")
finally:
    sinusoidal_table = _own
### END HIDDEN TESTS

# %% [markdown]
# ### Look: the same letter in two places
#
# The line from the beginning once more, now with positions. Each row and column of the map is one position of the
# text; both are labelled with the character that stands there.

# %%
torch.manual_seed(0)
embed = TokenEmbedding(vocab_size=len(chars), embed_dim=32)
positions = PositionalEncoding(embed_dim=32, max_len=64)

what = embed(ids)  # (B, T, C): which character
both = positions(what)  # (B, T, C): which character, and where
for name, x in {"without positions": what, "with positions": both}.items():
    alike = F.cosine_similarity(x[0, 0], x[0, 13], dim=0).item()
    print(f"{name:17}: similarity of the 't' at 0 and the 't' at 13 is {alike:.2f}")
plots.show(plots.similarity(both[0], text))

print("learned:", [name for name, _ in positions.named_parameters()])
print("kept:   ", [name for name, _ in positions.named_buffers()])

# %% [markdown]
# Without positions all `t` were the same to the last digit. Now they are still alike, but no longer equal: the vector
# says both what stands there and where. **Try it:** draw `what[0]` instead of `both[0]`, and
# `10 * what + (both - what)`, in which the character shouts and the position whispers.
#
# ## Recap
#
# - Ids are names. An embedding gives each id a vector, by looking up a row of a table; that equals one-hot times
#   table.
# - Vectors start at random and become meaningful by learning: what is used alike becomes alike.
# - The positional table is a clock with many hands. The dot product of two of its rows depends on their distance
#   only.
# - A parameter is learned; a buffer only belongs to the module, moves with it and is saved with it.
#
# This is how far you are in the course: what has passed and when, and what comes next.

# %%
helpers.progress()

# %% [markdown]
# ## Three questions to think about
#
# 1. How many numbers are learned in `TokenEmbedding(65, 128)`, and how many in `PositionalEncoding(128, 128)`?
# 2. Why a sine *and* a cosine for each hand? What would be lost with sines alone?
# 3. We add the position to the character. We could also put the two side by side, as `2C` features. What speaks for
#    adding?
#
# <details><summary><b>Answers</b></summary>
#
# 1. $65 \cdot 128 = 8320$ in the first, and none in the second.
# 2. A sine alone gives the height of the hand's tip: on its way up and on its way down it is the same, so two
#    positions in each turn could not be told apart by this hand. And without the cosine, the dot product would no
#    longer depend on the distance alone.
# 3. Side by side, the features double, and the weights of the next linear layers with them. Added, both share the `C`
#    features; with many features there is room enough for the network to keep the two apart.
# </details>
#
# **Next:** [3b. Attention](../3b_attention/3b_attention.ipynb) lets every character look back at those before it.
