"""TODO 6, TokenEmbedding.__init__: wrong and right answers."""
import torch
from torch import nn

from answers import right, wrong


def made(make):
    """TokenEmbedding whose __init__ calls make(self, vocab_size, embed_dim) after super().__init__()."""
    class TokenEmbedding(nn.Module):
        def __init__(self, vocab_size, embed_dim):
            super().__init__()
            make(self, vocab_size, embed_dim)
    return TokenEmbedding


@wrong("unfinished", named="TODO 6")
def _():
    def make(self, vocab_size, embed_dim):
        raise NotImplementedError("TODO 6")
    return made(make)


@wrong("no super().__init__()", named="super().__init__() missing")
def _():
    class TokenEmbedding(nn.Module):
        def __init__(self, vocab_size, embed_dim):
            self.embedding = nn.Embedding(vocab_size, embed_dim)
    return TokenEmbedding


@wrong("sizes swapped", named="wrong num_embeddings")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(C, V)
    return made(make)


@wrong("square", named="wrong embedding_dim")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(V, V)
    return made(make)


@wrong("one row too many", named="wrong num_embeddings")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(V + 1, C)
    return made(make)


@wrong("hard-coded size", named="wrong num_embeddings")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(65, C)
    return made(make)


@wrong("linear layer", named="wrong kind of layer")
def _():
    def make(self, V, C):
        self.embedding = nn.Linear(V, C)
    return made(make)


@wrong("bare weight", named="wrong kind of layer")
def _():
    def make(self, V, C):
        self.embedding = nn.Parameter(torch.randn(V, C))
    return made(make)


@wrong("padding_idx", named="wrong padding_idx")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(V, C, padding_idx=0)
    return made(make)


@wrong("max_norm", named="wrong max_norm")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(V, C, max_norm=1.0)
    return made(make)


@wrong("another name", named="missing attribute")
def _():
    def make(self, V, C):
        self.emb = nn.Embedding(V, C)
    return made(make)


@wrong("frozen", named=True)
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding.from_pretrained(torch.randn(V, C))
    return made(make)


@wrong("all zero", named="constant weights")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(V, C)
        self.embedding.weight.data.zero_()
    return made(make)


@wrong("hidden in a list", named="wrong kind of layer")
def _():
    def make(self, V, C):
        self.embedding = [nn.Embedding(V, C)]
    return made(make)


@right("keywords and extra attributes")
def _():
    def make(self, V, C):
        self.vocab_size, self.embed_dim = V, C
        self.embedding = nn.Embedding(num_embeddings=V, embedding_dim=C)
    return made(make)


@right("own start values")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(V, C)
        nn.init.normal_(self.embedding.weight, std=0.02)
    return made(make)


@right("from weights that learn")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding.from_pretrained(torch.randn(V, C), freeze=False)
    return made(make)
