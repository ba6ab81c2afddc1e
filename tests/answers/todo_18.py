"""TODO 18: TinyLLM.__init__(vocab_size, embed_dim=128, num_heads=4, num_layers=4, max_len=128, dropout=0.0)."""
import copy

import torch
from torch import nn

from answers import right, wrong
from helpers.oracle import PositionalEncoding, TokenEmbedding, TransformerBlock


class Base(nn.Module):
    """The other method of the class, not written yet."""

    def forward(self, ids):
        raise NotImplementedError("TODO 19")


def model(make):
    """A right __init__ and then make(self, V, C, H, L, max_len, p): the answers below differ only there."""
    class TinyLLM(Base):
        def __init__(self, vocab_size, embed_dim=128, num_heads=4, num_layers=4, max_len=128, dropout=0.0):
            super().__init__()
            self.max_len = max_len
            self.token_embedding = TokenEmbedding(vocab_size, embed_dim)
            self.positional_encoding = PositionalEncoding(embed_dim, max_len)
            self.blocks = nn.ModuleList([TransformerBlock(embed_dim, num_heads, dropout) for _ in range(num_layers)])
            self.final_norm = nn.LayerNorm(embed_dim)
            self.head = nn.Linear(embed_dim, vocab_size)
            make(self, vocab_size, embed_dim, num_heads, num_layers, max_len, dropout)
    return TinyLLM


@right("plain")
def _():
    return model(lambda *sizes: None)


@right("no bias in the head, small first weights, extra attributes")
def _():
    def make(self, V, C, H, L, max_len, p):
        self.head = nn.Linear(C, V, bias=False)
        self.config = {"vocab_size": V, "embed_dim": C}
        self.apply(self.start)

    cls = model(make)

    def start(self, part):
        if isinstance(part, (nn.Linear, nn.Embedding)):
            nn.init.normal_(part.weight, std=0.02)

    cls.start = start
    return cls


@right("head tied to the embedding, with small first weights")
def _():
    def make(self, V, C, H, L, max_len, p):
        nn.init.normal_(self.token_embedding.embedding.weight, std=0.02)
        self.head = nn.Linear(C, V, bias=False)
        self.head.weight = self.token_embedding.embedding.weight
    return model(make)


@right("append in a loop, everything by name")
def _():
    class TinyLLM(Base):
        def __init__(self, vocab_size, embed_dim=128, num_heads=4, num_layers=4, max_len=128, dropout=0.0):
            super().__init__()
            self.vocab_size, self.embed_dim, self.max_len = vocab_size, embed_dim, max_len
            self.head = nn.Linear(in_features=embed_dim, out_features=vocab_size)
            self.final_norm = nn.LayerNorm([embed_dim])
            self.blocks = nn.ModuleList()
            for _ in range(num_layers):
                self.blocks.append(TransformerBlock(embed_dim, num_heads=num_heads, dropout=dropout))
            self.positional_encoding = PositionalEncoding(max_len=max_len, embed_dim=embed_dim)
            self.token_embedding = TokenEmbedding(vocab_size=vocab_size, embed_dim=embed_dim)
            self.register_buffer("mask", torch.ones(max_len, max_len).tril().bool(), persistent=False)
    return TinyLLM


@right("copies of one block, a zero head")
def _():
    def make(self, V, C, H, L, max_len, p):
        block = TransformerBlock(C, H, p)
        self.blocks = nn.ModuleList(copy.deepcopy(block) for _ in range(L))
        nn.init.zeros_(self.head.weight)
    return model(make)


@wrong("a plain list of blocks", named=True)
def _():
    def make(self, V, C, H, L, max_len, p):
        del self.blocks
        self.blocks = [TransformerBlock(C, H, p) for _ in range(L)]
    return model(make)


@wrong("the same block repeated", named=True)
def _():
    def make(self, V, C, H, L, max_len, p):
        self.blocks = nn.ModuleList([TransformerBlock(C, H, p)] * L)
    return model(make)


@wrong("nn.Sequential for the blocks", named=True)
def _():
    def make(self, V, C, H, L, max_len, p):
        self.blocks = nn.Sequential(*[TransformerBlock(C, H, p) for _ in range(L)])
    return model(make)


@wrong("one block only", named=True)
def _():
    def make(self, V, C, H, L, max_len, p):
        self.blocks = TransformerBlock(C, H, p)
    return model(make)


@wrong("always four blocks", named="number of blocks")
def _():
    def make(self, V, C, H, L, max_len, p):
        self.blocks = nn.ModuleList([TransformerBlock(C, H, p) for _ in range(4)])
    return model(make)


@wrong("as many blocks as heads", named="number of blocks")
def _():
    def make(self, V, C, H, L, max_len, p):
        self.blocks = nn.ModuleList([TransformerBlock(C, H, p) for _ in range(H)])
    return model(make)


@wrong("one block too few", named="number of blocks")
def _():
    def make(self, V, C, H, L, max_len, p):
        self.blocks = nn.ModuleList([TransformerBlock(C, H, p) for _ in range(1, L)])
    return model(make)


@wrong("final_norm missing", named=True)
def _():
    def make(self, V, C, H, L, max_len, p):
        del self.final_norm
    return model(make)


@wrong("head back to C", named="head of the wrong size")
def _():
    def make(self, V, C, H, L, max_len, p):
        self.head = nn.Linear(C, C)
    return model(make)


@wrong("head with a softmax behind it")
def _():
    def make(self, V, C, H, L, max_len, p):
        self.head = nn.Sequential(nn.Linear(C, V), nn.Softmax(-1))
    return model(make)


@wrong("learned positions", named=True)
def _():
    def make(self, V, C, H, L, max_len, p):
        self.positional_encoding = nn.Embedding(max_len, C)
    return model(make)


@wrong("128 positions, whatever max_len says", named="max_len not passed on")
def _():
    def make(self, V, C, H, L, max_len, p):
        self.positional_encoding = PositionalEncoding(C, 128)
    return model(make)


@wrong("positional_encoding's arguments swapped", named=True)
def _():
    def make(self, V, C, H, L, max_len, p):
        self.positional_encoding = PositionalEncoding(max_len, C)
    return model(make)


@wrong("max_len not kept", named=True)
def _():
    def make(self, V, C, H, L, max_len, p):
        del self.max_len
    return model(make)


@wrong("dropout not passed on", named=True)
def _():
    def make(self, V, C, H, L, max_len, p):
        self.blocks = nn.ModuleList([TransformerBlock(C, H) for _ in range(L)])
    return model(make)


@wrong("dropout outside the blocks", named=True)
def _():
    def make(self, V, C, H, L, max_len, p):
        self.dropout = nn.Dropout(p)
    return model(make)


@wrong("num_heads not passed on", named=True)
def _():
    def make(self, V, C, H, L, max_len, p):
        self.blocks = nn.ModuleList([TransformerBlock(C, 1, p) for _ in range(L)])
    return model(make)


@wrong("head tied to the embedding as it is", named="first loss too high")
def _():
    def make(self, V, C, H, L, max_len, p):
        self.head.weight = self.token_embedding.embedding.weight
    return model(make)


@wrong("head's first weights from a standard normal", named="first loss too high")
def _():
    def make(self, V, C, H, L, max_len, p):
        nn.init.normal_(self.head.weight)
    return model(make)


@wrong("embedding swapped", named="embedding of the wrong size")
def _():
    def make(self, V, C, H, L, max_len, p):
        self.token_embedding = TokenEmbedding(C, V)
    return model(make)


@wrong("other default sizes")
def _():
    class TinyLLM(model(lambda *sizes: None)):
        def __init__(self, vocab_size, embed_dim=64, num_heads=4, num_layers=2, max_len=64, dropout=0.1):
            super().__init__(vocab_size, embed_dim, num_heads, num_layers, max_len, dropout)
    return TinyLLM


@wrong("super().__init__() missing", named=True)
def _():
    class TinyLLM(Base):
        def __init__(self, vocab_size, embed_dim=128, num_heads=4, num_layers=4, max_len=128, dropout=0.0):
            self.max_len = max_len
            self.token_embedding = TokenEmbedding(vocab_size, embed_dim)
    return TinyLLM


@right("head tied to the embedding, logits made smaller in forward")
def _():
    class TinyLLM(model(lambda self, *sizes: setattr(self.head, "weight", self.token_embedding.embedding.weight))):
        def forward(self, ids):
            x = self.positional_encoding(self.token_embedding(ids))
            for block in self.blocks:
                x = block(x)
            return self.head(self.final_norm(x)) / x.shape[-1]
    return TinyLLM


@wrong("final_norm is the last block's norm", named="parts share weights")
def _():
    def make(self, V, C, H, L, max_len, p):
        self.final_norm = self.blocks[-1].norm2
    return model(make)


@wrong("blocks share their attention", named="blocks share weights")
def _():
    def make(self, V, C, H, L, max_len, p):
        for block in self.blocks:
            block.attention = self.blocks[0].attention
    return model(make)


@wrong("eps of final_norm", named="final_norm.eps")
def _():
    def make(self, V, C, H, L, max_len, p):
        self.final_norm = nn.LayerNorm(C, eps=0.1)
    return model(make)


@wrong("a table that learns", named="learned positions")
def _():
    def make(self, V, C, H, L, max_len, p):
        table = self.positional_encoding.table
        del self.positional_encoding.table
        self.positional_encoding.table = nn.Parameter(table)
    return model(make)
