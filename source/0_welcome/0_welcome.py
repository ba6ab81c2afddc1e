# %% [markdown]
# # 0. Welcome: play with the finished thing
#
# In this course you build a language model, from the first tensor to the last training step, in about eight hours.
# Before you begin, meet one that is finished. It is small: it was trained for a few minutes on a processor like yours,
# with the recipe that you will use at the end. It has read Shakespeare, one character at a time, and nothing else.
# Nobody told it what a word is.
#
# There is nothing to fill in here. Run each cell with Shift+Enter, and play.

# %% locked="imports"
import torch

from helpers import inside, oracle, welcome, widgets

# %% [markdown]
# ## Let it write
#
# It is given a beginning, and goes on from there.

# %%
model, tokenizer = welcome.load()
print(f"This model is a list of {sum(p.numel() for p in model.parameters()):,} numbers.\n")

torch.manual_seed(1)
print(oracle.generate_text(model, tokenizer, "ROMEO:\n", max_new_tokens=300))

# %% [markdown]
# It makes up words and loses the thread. But it knows that a name in capitals stands above a speech, that lines begin
# with a capital letter, and how an English sentence sounds. All of that it found in the text by itself.
#
# **Your turn.** Write any beginning you like, and run the cell again and again: each time the dice fall in another way.

# %%
beginning = "To be, or not to "
print(oracle.generate_text(model, tokenizer, beginning, max_new_tokens=200))

# %% [markdown]
# ## One character at a time
#
# All it ever does is answer one question: *which character comes next?* It gives each character a probability, draws
# one, writes it down, and asks itself again. Move the **step**, and see what it hesitated about. With a higher
# **temperature** it takes more risks.

# %%
widgets.generation(model, tokenizer, oracle.generate, text="The king ")

# %% [markdown]
# Change the beginning of a word, one letter after the other, and see how its mind changes. After `q`, is there a
# choice?

# %%
widgets.next_character(model, tokenizer, text="The q")

# %% [markdown]
# ## Where it looks
#
# To guess the next character, it looks back at the ones before. Move the slider of **the character that looks**, and
# see which of the earlier ones it takes into account. Each **layer** has several **heads**, and each head has its own
# habits. One of them looks mostly at the character just before: can you find it? Then switch to *before training*:
# what habits were there?

# %%
torch.manual_seed(0)
newborn, _ = welcome.load(trained=False)


def watch(model):
    """What each head looks at, as a function of a text."""
    return lambda text: inside.look(model, tokenizer.encode(text)).weights


widgets.attention({"before training": watch(newborn), "after training": watch(model)},
                  "O my love, the king", alphabet=tokenizer.chars)

# %% [markdown]
# ## How it makes up its mind
#
# The text passes through the layers, one after the other, and each of them changes the model's mind a little. We can
# ask on the way what it would answer if it had to. How early does it know the right letter? And with another beginning?

# %%
widgets.logit_lens(model, tokenizer, text="What is thy nam")

# %% [markdown]
# ## What it was before
#
# The same model, before it had read a single line. Everything that you saw above is the difference between these random
# numbers and the trained ones:

# %%
print(oracle.generate_text(newborn, tokenizer, "ROMEO:\n", max_new_tokens=200))

# %% [markdown]
# ## What you will build
#
# This is the whole machine. Every box is a few lines of Python, and you will write each of them yourself. The words and
# numbers in it need not mean anything to you yet:

# %%
widgets.architecture(model, tokenizer, text="Hello")

# %% [markdown]
# | notebook | you build | minutes |
# |---|---|---|
# | [1. Tensors](../1_tensors/1_tensors.ipynb) | the boxes of numbers that everything is made of | 40 |
# | [2. Modules](../2_modules/2_modules.ipynb) | a first network that learns | 40 |
# | [3a. Embeddings](../3a_embeddings/3a_embeddings.ipynb) | characters and their places as numbers | 60 |
# | [3b. Attention](../3b_attention/3b_attention.ipynb) | how each character looks back | 90 |
# | [3c. Blocks](../3c_blocks/3c_blocks.ipynb) | the layer that is stacked | 60 |
# | [4. The model](../4_model/4_model.ipynb) | the whole machine, and how it writes | 90 |
# | [5. Training](../5_training/5_training.ipynb) | how it learns; then it writes for you | 90 |
#
# In each notebook you fill in a few pieces, marked TODO, 31 in all. A check says at once whether a piece is right, and
# if it is not, which mistake it is. The model above stays in this notebook: yours will be your own, from the first line
# to the last number.
#
# **Next:** [1. Tensors](../1_tensors/1_tensors.ipynb).
