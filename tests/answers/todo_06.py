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


@wrong("sparse", named="wrong sparse")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(V, C, sparse=True)
    return made(make)


@wrong("frequent ids count less", named="wrong scale_grad_by_freq")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(V, C, scale_grad_by_freq=True)
    return made(make)


@wrong("at least as many rows as columns", named="wrong num_embeddings")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(max(V, C), C)
    return made(make)


@wrong("only ASCII", named="wrong num_embeddings")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(min(V, 128), C)
    return made(make)


@wrong("weight transposed", named="wrong shape")
def _():
    def make(self, V, C):
        self.embedding = nn.Embedding(V, C)
        self.embedding.weight = nn.Parameter(torch.randn(C, V))
    return made(make)


@wrong("one table for all modules of a size", named="shared between instances")
def _():
    tables = {}

    def make(self, V, C):
        self.embedding = tables.setdefault((V, C), nn.Embedding(V, C))
    return made(make)


@wrong("the same start in each instance", named=True)
def _():
    starts = {}

    def make(self, V, C):
        rows = starts.setdefault((V, C), torch.randn(V, C))
        self.embedding = nn.Embedding.from_pretrained(rows.clone(), freeze=False)
    return made(make)


@right("own class derived from nn.Embedding")
def _():
    class Table(nn.Embedding):
        pass

    def make(self, V, C):
        self.embedding = Table(V, C)
        self.weight = self.embedding.weight
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
