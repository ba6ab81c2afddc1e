# %% [markdown]
# # 1. Tensors: numbers in boxes
#
# In this course you write a language model of your own: a transformer, built like the ones behind today's chatbots,
# only much smaller. It will read Shakespeare character by character until it can go on writing in his manner, and
# every part of it will be a few lines that you wrote.
#
# All those parts handle one kind of thing, the **tensor**: a box full of numbers. In this notebook you make tensors,
# calculate with them, and change their shape. No PyTorch is expected of you, only Python: lists, dictionaries,
# functions.
#
# | TODO | you write | difficulty | minutes |
# |---|---|---|---|
# | 1 | `create_tensors`: five ways to make a tensor | ★☆☆ | 10 |
# | 2 | `tensor_operations`: a sum, two products and a mean | ★☆☆ | 10 |
# | 3 | `split_heads` and `merge_heads`: move numbers, lose none | ★★☆ | 20 |
#
# ## How to work in a notebook
#
# A notebook is made of cells: some to read, some to run. Click on a cell and press **Shift+Enter**: it runs, what it
# printed appears below it, and the next cell is chosen. Go through them in order, from top to bottom.
#
# Every TODO takes the same four steps:
#
# 1. **Read** what it is about.
# 2. **Write**: replace the line `raise NotImplementedError("TODO 1")` by your own lines, and run the cell.
# 3. **Check**: run the cell that starts with `checks.`. It says `TODO 1 passed`, or else what is not right yet.
#    Change your lines, run both cells again, as often as you like. Under each TODO are two hints; click on one to
#    open it.
# 4. **Look** at what your code does: after each TODO comes something to see or to play with.
#
# When something is missing, a block of coloured text appears. Its last line is the one that matters, and three such
# lines only tell you where you are:
#
# - `NotImplementedError: TODO 1` means: this TODO is not written yet.
# - `waiting for TODO 1` means: this cell uses something that TODO 1 will make.
# - `NameError: name 'create_tensors' is not defined` means: a cell further up has not been run. That is so after a
#   restart, because a restarted notebook has forgotten everything. Choose **Run, Run All Above Selected Cell** in the
#   menu (on Colab: **Runtime, Run before**) and go on where you were.
#
# Run the next two cells now. The first finds the course's folder, the second fetches PyTorch and the course's
# helpers. Both print nothing when all is well.

# %% locked="imports"
import torch

from helpers import checks, plots, widgets

# %% [markdown]
# ## A tensor, its shape and its type
#
# One number, a row of numbers, a table, a stack of tables: each is a tensor. Its **shape** says how many there are in
# each direction, read from the outside in. Shape `(2, 3)` is a table of 2 rows with 3 numbers each; shape `(4, 2, 3)`
# is a stack of 4 such tables. The number of directions, or **dimensions**, is the length of the shape.

# %%
number = torch.tensor(7.0)
row = torch.tensor([1.0, 2.0, 3.0])
table = torch.tensor([[1, 2, 3], [4, 5, 6]])
stack = torch.zeros(4, 2, 3)

for name, t in {"number": number, "row": row, "table": table, "stack": stack}.items():
    shape = str(tuple(t.shape))
    print(f"{name:7} shape {shape:10} dimensions {t.dim()}  numbers {t.numel():2}  {t.dtype}")

plots.show(plots.tensor_grid(table, title="table"))

# %% [markdown]
# At the end of each printed line stands the **dtype**, the kind of number in the box. All numbers of a tensor are of
# one kind. Two kinds will do nearly everywhere in this course:
#
# - `float32`, numbers with a decimal point, exact to about seven digits: everything that is measured or learned;
# - `int64`, whole numbers: everything that is counted, such as the number of a character in the alphabet.
#
# PyTorch guesses the dtype from what you write. `[1.0, 2.0, 3.0]` became `float32`, but `[[1, 2, 3], [4, 5, 6]]`,
# without a decimal point, became `int64`. Many calculations refuse whole numbers, so it is good to say what you want:
# `torch.tensor([1, 2, 3], dtype=torch.float32)`.
#
# ## TODO 1: make five tensors
#
# Nearly every tensor in this course comes into the world in one of five ways: from a Python list (data), full of
# zeros or full of ones (a place to start, or a mask), by counting (positions in a text), or by chance (a network
# before it has learned anything). PyTorch has a function for each:
# [torch.tensor](https://docs.pytorch.org/docs/stable/generated/torch.tensor.html),
# [torch.zeros](https://docs.pytorch.org/docs/stable/generated/torch.zeros.html),
# [torch.ones](https://docs.pytorch.org/docs/stable/generated/torch.ones.html),
# [torch.arange](https://docs.pytorch.org/docs/stable/generated/torch.arange.html) and
# [torch.randn](https://docs.pytorch.org/docs/stable/generated/torch.randn.html). For example,
# `torch.zeros(4, 2, 3)` above made the stack of tables, and `torch.arange(3)` counts `0, 1, 2`.
#
# The chance in `torch.randn` is the *standard normal* kind, the famous bell curve: the numbers lie around 0, about
# two thirds of them between -1 and 1.

# %% todo="1"
def create_tensors(rows, n):
    """Five tensors in a dictionary, made in five ways.

    rows: a list of R lists, each with K numbers, such as [[1, 2, 3], [4, 5, 6]]
    n: a whole number, 1 or more
    """
    # TODO 1: return a dictionary with these keys:
    #   "from_list"  (R, K)  float32: the numbers in rows
    #   "zeros"      (n, n)  float32: all 0
    #   "ones"       (n, n)  float32: all 1
    #   "count"      (n,)    int64:   0, 1, ..., n - 1
    #   "noise"      (n, n)  float32: standard normal, new numbers on each call
    ### BEGIN SOLUTION 1
    return {
        "from_list": torch.tensor(rows, dtype=torch.float32),  # (R, K)
        "zeros": torch.zeros(n, n),  # (n, n)
        "ones": torch.ones(n, n),  # (n, n)
        "count": torch.arange(n),  # (n,)
        "noise": torch.randn(n, n),  # (n, n)
    }
    ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: what to return</summary>
#
# One dictionary: `return {"from_list": ..., "zeros": ..., ...}`. Each of the five functions fills one place. Three of
# them want the shape, given as numbers with commas between: two dimensions of size `n` are `n, n`.
# </details>
#
# <details><summary><b>Hint 2</b>: which dtype comes by itself?</summary>
#
# `torch.zeros`, `torch.ones` and `torch.randn` give `float32`, and `torch.arange(n)` gives `int64`, without being
# told. `torch.tensor(rows)` looks at the numbers in `rows`, which may be whole: add `dtype=torch.float32` there.
# </details>

# %% test="1" points=2
checks.todo_1(create_tensors)
### BEGIN HIDDEN TESTS
_made = create_tensors([[1, 2], [3, 4], [5, 6]], 200)
assert all(type(_made[k]) is torch.Tensor for k in ("from_list", "zeros", "ones", "count", "noise"))
assert _made["from_list"].dtype == torch.float32 and _made["from_list"].tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
assert _made["zeros"].dtype == torch.float32 and _made["zeros"].tolist() == [[0.0] * 200] * 200
assert _made["ones"].dtype == torch.float32 and _made["ones"].tolist() == [[1.0] * 200] * 200
assert _made["count"].dtype == torch.int64 and _made["count"].tolist() == list(range(200))
_noise = _made["noise"]
assert _noise.dtype == torch.float32 and tuple(_noise.shape) == (200, 200)
assert abs(_noise.mean().item()) < 0.05 and abs(_noise.std().item() - 1) < 0.05  # ten standard errors or more
assert abs((_noise.abs() < 1).float().mean().item() - 0.6827) < 0.03, "the bell curve has 68 % between -1 and 1"
assert not create_tensors([[1]], 5)["noise"].equal(create_tensors([[1]], 5)["noise"]), "new numbers on each call"
### END HIDDEN TESTS

# %% [markdown]
# ### Look: chance that can be repeated

# %%
torch.manual_seed(0)
made = create_tensors([[1, 2, 3], [4, 5, 6]], n=5)
for name, t in made.items():
    print(f"{name:9} shape {str(tuple(t.shape)):6} {t.dtype}")
plots.show(plots.tensor_grid(made["noise"], title="noise"))

# %% [markdown]
# Run this cell again: the same "random" numbers appear. The line
# [torch.manual_seed(0)](https://docs.pytorch.org/docs/stable/generated/torch.manual_seed.html) sets the source of
# chance back to a fixed place, called the *seed*, and from there it always goes the same way. So you and a friend can
# look at the same picture. **Try it:** put another number in place of 0, or delete the line and run the cell twice.
#
# ## Calculating with whole tensors
#
# Between two tensors of the same shape, `+`, `-`, `*` and `/` work number by number: the first with the first, the
# second with the second. No loop is written, and that is also what makes PyTorch fast.
#
# Two different shapes can still fit, by **broadcasting**: a dimension of size 1 is repeated as often as the other
# tensor needs. Below, `column` has the shape `(2, 1)` and `a` has `(2, 3)`, so `column` is used three times, side by
# side. A missing dimension at the front counts as 1: `row` has the shape `(3,)` and is used for both rows of `a`.

# %%
a = torch.tensor([[1.0, 2.0, 3.0],
                  [4.0, 5.0, 6.0]])  # (2, 3)
row = torch.tensor([10.0, 20.0, 30.0])  # (3,)
column = torch.tensor([[100.0],
                       [200.0]])  # (2, 1)
print("a + row:\n", a + row, sep="")
print("a + column:\n", a + column, sep="")

# %% [markdown]
# The rule in one sentence: write the shapes one below the other, flush right; in each place the sizes must be equal,
# or one of them must be 1 or missing.
#
# So `*` is one way to multiply. The other is the **matrix product**, written `@`, the workhorse of every neural
# network. It is built from *dot products*: multiply two rows number by number, then add up. The dot product of
# `[1, 2, 3]` and `[1, 0, 1]` is $1 \cdot 1 + 2 \cdot 0 + 3 \cdot 1 = 4$.
#
# Take two tables `a` and `b` with rows of the same length. To get the dot product of *every* row of `a` with *every*
# row of `b`, we write `a @ b.T`. The `.T` lays `b` on its side (rows become columns), because `@` goes along the rows
# of the left table and down the columns of the right one:
#
# $$\text{scores} = a\, b^\top \qquad \text{scores}_{ij} = \sum_k a_{ik}\, b_{jk}$$

# %%
b = torch.tensor([[1.0, 0.0, 1.0],
                  [0.0, 1.0, 0.0]])  # (2, 3)
print("b.T, shape (3, 2):\n", b.T, sep="")
print("a @ b.T, shape (2, 2):\n", a @ b.T, sep="")

# %% [markdown]
# Row 0, column 0 is the 4 from above: row 0 of `a` with row 0 of `b`.
#
# Last, a **mean over one dimension**. `a.mean(dim=0)` squeezes dimension 0, the rows, and leaves one mean per column.
# `a.mean(dim=-1)` squeezes the last dimension (negative numbers count from the end, as in lists) and leaves one mean
# per row. The squeezed dimension is then gone: `(2, 3)` becomes `(2,)`. With `keepdim=True` it stays, with size 1.

# %%
print("mean of each column:", a.mean(dim=0))
print("mean of each row:   ", a.mean(dim=-1))
print("the same, kept as a column:\n", a.mean(dim=-1, keepdim=True), sep="")

# %% [markdown]
# Why keep a dimension of size 1? Because of broadcasting. "Subtract from each row its own mean" needs shapes `(2, 3)`
# and `(2, 1)`. With `(2,)` PyTorch would compare the 2 with the 3 and refuse. And if the table were square it would
# not refuse: it would subtract the wrong means without a word. Remember this one.
#
# ### Play: do these two fit?
#
# Choose two of the tensors and go through the steps: the shapes flush right, the copies, the result. Before step 2, say
# what the shape of the result will be. Which of the pairs does PyTorch refuse? And which two make a table of a row and
# a column?

# %%
widgets.broadcasting(a=a, row=row, column=column, means=a.mean(dim=-1),
                     means_kept=a.mean(dim=-1, keepdim=True))

# %% [markdown]
# The copies are never made in memory: PyTorch reads the same numbers again.
#
# ## TODO 2: four operations

# %% todo="2"
def tensor_operations(a, b):
    """A sum, two products and a mean.

    a, b: (R, K), both of the same shape
    """
    # TODO 2: return a dictionary with these keys:
    #   "sum"       (R, K)  a plus b, number by number
    #   "product"   (R, K)  a times b, number by number
    #   "scores"    (R, R)  the dot product of each row of a with each row of b
    #   "row_mean"  (R, 1)  the mean of each row of a
    ### BEGIN SOLUTION 2
    return {
        "sum": a + b,  # (R, K)
        "product": a * b,  # (R, K)
        "scores": a @ b.T,  # (R, K) @ (K, R) -> (R, R)
        "row_mean": a.mean(dim=-1, keepdim=True),  # (R, 1)
    }
    ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: two signs for two products</summary>
#
# `*` goes number by number and keeps the shape. `@` makes dot products and needs `(R, K) @ (K, R)`: the inner sizes
# must agree, the outer ones remain.
# </details>
#
# <details><summary><b>Hint 2</b>: where to find each line</summary>
#
# All four stand in the examples above, with numbers: `a + row` shows the sign, `a @ b.T` the scores, and the last
# example the mean over the last dimension with `keepdim=True`.
# </details>

# %% test="2" points=3
checks.todo_2(tensor_operations)
### BEGIN HIDDEN TESTS
_a, _b = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]]), torch.tensor([[1.0, 0.0, 1.0], [0.0, -1.0, 2.0]])
_result = tensor_operations(_a, _b)
assert all(type(_result[k]) is torch.Tensor for k in ("sum", "product", "scores", "row_mean"))
assert _result["sum"].tolist() == [[2.0, 2.0, 4.0], [4.0, 4.0, 11.0]]
assert _result["product"].tolist() == [[1.0, 0.0, 3.0], [0.0, -5.0, 18.0]]
assert _result["scores"].tolist() == [[4.0, 4.0], [13.0, 13.0]]
assert _result["row_mean"].tolist() == [[2.0], [6.0]]
assert _a.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]], "the inputs must stay as they are"
### END HIDDEN TESTS

# %% [markdown]
# ### Play: who resembles whom?
#
# Describe five animals by four yes-or-no features. If 1 means yes and 0 means no, the dot product of two animals
# counts the features that both have. So `a @ a.T` compares every animal with every other, in one go.
#
# Choose a row of `a` and a column of `b`: the sum of products below the picture is the number where they meet. Whom
# does the platypus resemble most, apart from itself? And what stands on the diagonal?

# %%
animals = torch.tensor([  # fur, wings, swims, lays eggs
    [1.0, 0.0, 0.0, 0.0],  # 0 cat
    [1.0, 1.0, 0.0, 0.0],  # 1 bat
    [0.0, 1.0, 1.0, 1.0],  # 2 duck
    [0.0, 0.0, 1.0, 1.0],  # 3 salmon
    [1.0, 0.0, 1.0, 1.0],  # 4 platypus
])
names = ["cat", "bat", "duck", "salmon", "platypus"]
result = tensor_operations(animals, animals)
print("each row minus its mean:\n", animals - result["row_mean"], sep="")
widgets.matmul(animals, animals.T, result["scores"], rows=names, columns=names)

# %% [markdown]
# The platypus (row 4) shares two features with the duck and two with the salmon, but only one with the cat. The
# diagonal says how many features each animal has. In `3b_attention` the rows will be characters instead of animals,
# and this same table of dot products will decide which character looks at which.
#
# Above the picture each row has lost its own mean, thanks to `keepdim`. **Try it:** add an animal and its name, or a
# feature.
#
# ## The same numbers in another shape
#
# A tensor's numbers lie in memory in one long line. A shape only says how to read that line, and there are two very
# different ways to get another shape:
#
# - [reshape](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.reshape.html) keeps the line as it is and
#   cuts it differently, last dimension first: the way you read a page.
# - [transpose(i, j)](https://docs.pytorch.org/docs/stable/generated/torch.transpose.html) exchanges dimensions `i`
#   and `j`, so that the numbers come in another order. For a table it is the same as `.T`.

# %%
line = torch.arange(6)
table = line.reshape(2, 3)
print("reshape(2, 3):\n", table, sep="")
print("reshape(3, 2):\n", table.reshape(3, 2), sep="")
print("transpose(0, 1):\n", table.transpose(0, 1), sep="")

# %% [markdown]
# The last two have the same shape, `(3, 2)`, and different numbers in it. PyTorch cannot tell which of them you
# meant. Most silent mistakes in neural networks are of this kind: **the right shape is not yet the right answer.**
#
# ## TODO 3: split into heads, and merge again
#
# Here are the letters that stand for shapes from now on, in the whole course: `B` texts at a time (a *batch*), `T`
# positions in each text, and `C` numbers at each position, called *features*. So a batch of texts is a tensor of
# shape `(B, T, C)`.
#
# In `3b_attention` several **heads** will look at a text at the same time, each at its own share of the features.
# With `H` heads, each gets `D = C / H` features: head 0 the first `D`, head 1 the next `D`, and so on. `split_heads`
# deals them out, and `merge_heads` gathers them again:
#
# ```
# (B, T, C)  -- split_heads -->  (B, H, T, D)  -- merge_heads -->  (B, T, C)
# ```
#
# In the picture, each number tells where it comes from: 24 is position 2, feature 4. Every head keeps all positions,
# but only its own features.

# %%
x = 10 * torch.arange(3).reshape(3, 1) + torch.arange(6)  # (T, 1) + (C,) -> (T, C), by broadcasting
plots.show(plots.split_heads(x, num_heads=2))

# %% [markdown]
# It is tempting to write `x.reshape(B, H, T, D)`, which gives the right shape at once. But reading on in one line,
# head 0 would get *all* the features of the first positions, instead of the first features of *all* positions. Two
# steps are needed.

# %% todo="3"
def split_heads(x, num_heads):
    """Deal the features of each position out to the heads.

    x: (B, T, C)
    num_heads: H
    Returns (B, H, T, D), D = C // H; head h holds the features h*D ... (h+1)*D - 1 of each position.
    """
    # TODO 3: if C is not divisible by num_heads, raise a ValueError that says so.
    # Then two steps: give each head its place  (B, T, H, D)
    #                 bring the heads forward    (B, H, T, D)
    ### BEGIN SOLUTION 3
    B, T, C = x.shape
    if num_heads < 1 or C % num_heads != 0:
        raise ValueError(f"num_heads ({num_heads}) must divide the number of features ({C})")
    parts = x.reshape(B, T, num_heads, C // num_heads)  # (B, T, H, D)
    return parts.transpose(1, 2)  # (B, H, T, D)
    ### END SOLUTION


def merge_heads(x):
    """Put the heads' features side by side again: exactly undoes split_heads.

    x: (B, H, T, D)
    Returns (B, T, C), C = H * D.
    """
    # TODO 3: the same two steps, backwards.
    ### BEGIN SOLUTION 3
    B, H, T, D = x.shape
    return x.transpose(1, 2).reshape(B, T, H * D)  # (B, T, H, D) -> (B, T, C)
    ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: cut first, or exchange first?</summary>
#
# Within one position the features lie side by side in memory: `D` for head 0, then `D` for head 1, and so on. So cut
# `C` into `(H, D)` first, while everything is in its place. Only then exchange the positions and the heads.
# `B, T, C = x.shape` gives you the sizes.
# </details>
#
# <details><summary><b>Hint 2</b>: the two functions</summary>
#
# Split: `reshape` to `(B, T, H, D)`, then `transpose(1, 2)`. Merge: `transpose(1, 2)` first, then `reshape` to
# `(B, T, H * D)`. (You may meet `view`, which cuts without ever copying. After a transpose it refuses, because the
# numbers no longer lie in reading order; `reshape` copies them when it must.) Divisible means `C % num_heads == 0`.
# </details>

# %% test="3" points=4
checks.todo_3(split_heads, merge_heads)
### BEGIN HIDDEN TESTS
_x = torch.arange(2 * 5 * 12).reshape(2, 5, 12).float()
_heads = split_heads(_x, 3)
assert type(_heads) is torch.Tensor and tuple(_heads.shape) == (2, 3, 5, 4)
for _h in range(3):
    assert _heads[:, _h].equal(_x[:, :, 4 * _h : 4 * _h + 4]), f"head {_h} holds other features"
_pieces = torch.randn(2, 3, 5, 4)
assert merge_heads(_pieces).equal(torch.cat(_pieces.unbind(1), dim=-1)), "merged features are not side by side"
assert merge_heads(split_heads(_x, 12)).equal(_x) and merge_heads(split_heads(_x, 1)).equal(_x)
try:
    split_heads(_x, 5)
except ValueError:
    pass
else:
    raise AssertionError("12 features cannot be shared among 5 heads: that needs a ValueError")
### END HIDDEN TESTS

# %% [markdown]
# ### Play: silence one head
#
# Split the numbers of the picture above, set everything in head 1 to 0, and merge. If both functions are right,
# exactly the features 3, 4 and 5 are gone, at every position, and nothing else has moved.

# %%
heads = split_heads(x.reshape(1, 3, 6), num_heads=2)  # (B, T, C) -> (B, H, T, D), here (1, 2, 3, 3)
plots.show(plots.tensor_grid(heads[0, 1], title="head 1"))
silenced = heads.clone()  # a copy, so that x keeps its numbers
silenced[:, 1] = 0  # all texts, head 1
plots.show(plots.tensor_grid(merge_heads(silenced)[0], title="head 1 silenced"))

# %% [markdown]
# **Try it:** three heads instead of two; or silence position 1 of every head with `silenced[:, :, 1] = 0`.
#
# The cell says `clone` for a reason. `reshape` and `transpose` copy nothing if they can help it: `heads` and `x` are
# two ways to read the same numbers in memory. Without `clone`, the zeros would have gone into `x` as well.
#
# ### Play: one line of memory, many ways to read it
#
# How can `transpose` bring numbers into another order without moving them? Each dimension has a **stride**: how many
# places further on in memory the next number along this dimension lies. `transpose` only exchanges two strides. If
# reading a grid row by row goes through memory place by place, the tensor is called *contiguous*.
#
# Choose a view and move the element along; its frame shows where it lies, the thick line its row. Which views jump
# about in memory? And which one is a copy, because no strides could read that order from the memory of `x`?

# %%
widgets.strides(x, split_heads, merge_heads, num_heads=2)

# %% [markdown]
# `x.reshape(1, 2, 3, 3)` has the shape of your heads, but the numbers of other positions in them. `split_heads` and
# the way back move no number at all: they are two changes of strides.
#
# ## Recap
#
# - A tensor has a shape, read from the outside in, and a dtype: `float32` for what is learned, `int64` for what is
#   counted.
# - Shapes that differ still fit where one of them has a 1: broadcasting. `keepdim=True` leaves that 1 in place.
# - `a @ b.T` is every row of `a` against every row of `b`, as dot products.
# - `reshape` cuts the line of numbers differently; `transpose` exchanges dimensions. The right shape alone proves
#   nothing.
#
# Your `split_heads` and `merge_heads` are kept, now that they passed their check: a later notebook will pick them up.
# For a piece that is not finished it takes a **stand-in** of the course's, so that a gap never blocks you.
#
# This is how far you are in the course: what has passed and when, and what comes next.

# %%
helpers.progress()

# %% [markdown]
# ## Three questions to think about
#
# 1. `a` has the shape `(5, 1)` and `b` has `(4,)`. Is `a + b` allowed, and what is its shape?
# 2. A text has `T = 4` positions and `C = 6` features. Somebody splits it into 2 heads with `reshape(B, 2, 4, 3)`.
#    What does head 0 hold?
# 3. How many multiplications are in `a @ b.T`, if both tables have `R` rows of `K` numbers? What if `R` doubles?
#
# <details><summary><b>Answers</b></summary>
#
# 1. Yes. Flush right, `(5, 1)` and `(4,)` compare 1 with 4 (fits, becomes 4) and 5 with nothing (fits, stays 5):
#    shape `(5, 4)`. Every number of `a` meets every number of `b`.
# 2. The first 12 numbers of the line, which are *all* six features of positions 0 and 1. It never sees positions 2
#    and 3.
# 3. $R \cdot R \cdot K$: one dot product of `K` multiplications for each pair of rows. Twice the rows make four times
#    the work. Keep this in mind for `3b_attention`, where the rows are the positions of a text.
# </details>
#
# **Next:** [2. Modules](../2_modules/2_modules.ipynb) makes tensors that learn.
