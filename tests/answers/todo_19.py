"""TODO 19: TinyLLM.forward(ids) -> logits (B, T, V)."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from answers import right, wrong
from helpers.oracle import PositionalEncoding, TokenEmbedding, TransformerBlock, causal_mask


class Base(nn.Module):
    """TODO 18, finished."""

    def __init__(self, vocab_size, embed_dim=128, num_heads=4, num_layers=4, max_len=128, dropout=0.0):
        super().__init__()
        self.max_len = max_len
        self.token_embedding = TokenEmbedding(vocab_size, embed_dim)
        self.positional_encoding = PositionalEncoding(embed_dim, max_len)
        self.blocks = nn.ModuleList([TransformerBlock(embed_dim, num_heads, dropout) for _ in range(num_layers)])
        self.final_norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, vocab_size)


def model(run, base=Base):
    """A model whose forward is run(self, ids): the answers below differ only there."""
    class TinyLLM(base):
        def forward(self, ids):
            return run(self, ids)
    return TinyLLM


def start(self, ids):
    return self.positional_encoding(self.token_embedding(ids))


def through(self, x):
    mask = causal_mask(x.shape[1], device=x.device)
    for block in self.blocks:
        x = block(x, mask)
    return x


@right("plain, with the check of max_len")
def _():
    class TinyLLM(Base):
        def forward(self, ids):
            T = ids.shape[1]
            if T > self.max_len:
                raise ValueError(f"ids has {T} positions, but max_len is {self.max_len}")
            x = self.token_embedding(ids)
            x = self.positional_encoding(x)
            mask = causal_mask(T, device=ids.device)
            for block in self.blocks:
                x = block(x, mask)
            return self.head(self.final_norm(x))
    return TinyLLM


@right("max_len is left to positional_encoding, the mask made here and by name")
def _():
    def run(self, ids):
        x = start(self, ids)
        mask = torch.tril(torch.ones(x.shape[1], x.shape[1], device=ids.device))
        for i in range(len(self.blocks)):
            x = self.blocks[i](x, mask=mask)
        return self.head(self.final_norm(x))
    return model(run)


@right("a mask kept as a buffer, functional norm and head, extra helper")
def _():
    class TinyLLM(Base):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.register_buffer("mask", causal_mask(self.max_len), persistent=False)

        def body(self, ids):
            x = start(self, ids)
            for block in self.blocks:
                x = block(x, self.mask[:ids.size(1), :ids.size(1)])
            return x

        def forward(self, ids):
            x = self.body(ids)
            x = F.layer_norm(x, x.shape[-1:], self.final_norm.weight, self.final_norm.bias, self.final_norm.eps)
            return torch.einsum("btc,vc->btv", x, self.head.weight) + self.head.bias
    return TinyLLM


@right("head without bias, tied to the embedding")
def _():
    class TinyLLM(Base):
        def __init__(self, vocab_size, embed_dim=128, *args, **kwargs):
            super().__init__(vocab_size, embed_dim, *args, **kwargs)
            self.head = nn.Linear(embed_dim, vocab_size, bias=False)
            self.head.weight = self.token_embedding.embedding.weight
            nn.init.normal_(self.head.weight, std=0.02)

        def forward(self, ids):
            return self.head(self.final_norm(through(self, start(self, ids))))
    return TinyLLM


@right("embedding and table added by hand, a row at a time")
def _():
    def run(self, ids):
        if ids.shape[-1] > self.max_len:
            raise ValueError("ids is longer than max_len")
        rows = [self.token_embedding(row[None]) + self.positional_encoding.table[:len(row)] for row in ids]
        return torch.cat([self.head(self.final_norm(through(self, x))) for x in rows])
    return model(run)


@right("__init__ wrong: the same block repeated, no final_norm")
def _():
    class Unready(Base):
        def __init__(self, vocab_size, embed_dim=128, num_heads=4, num_layers=4, max_len=128, dropout=0.0):
            super().__init__(vocab_size, embed_dim, num_heads, num_layers, max_len, dropout)
            self.blocks = nn.ModuleList([TransformerBlock(embed_dim, num_heads)] * num_layers)
            del self.final_norm

    return model(lambda self, ids: self.head(self.final_norm(through(self, start(self, ids)))), Unready)


@right("__init__ unfinished")
def _():
    class Unready(nn.Module):
        def __init__(self, vocab_size, embed_dim=128, num_heads=4, num_layers=4, max_len=128, dropout=0.0):
            super().__init__()
            raise NotImplementedError("TODO 18")

    return model(lambda self, ids: self.head(self.final_norm(through(self, start(self, ids)))), Unready)


@wrong("no mask", named=True)
def _():
    def run(self, ids):
        x = start(self, ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.final_norm(x))
    return model(run)


@wrong("mask upside down", named=True)
def _():
    def run(self, ids):
        x = start(self, ids)
        for block in self.blocks:
            x = block(x, causal_mask(ids.shape[1], ids.device).T)
        return self.head(self.final_norm(x))
    return model(run)


@wrong("mask reaches one too far", named=True)
def _():
    def run(self, ids):
        x = start(self, ids)
        for block in self.blocks:
            x = block(x, torch.ones(ids.shape[1], ids.shape[1], device=ids.device).tril(1))
        return self.head(self.final_norm(x))
    return model(run)


@wrong("mask for the first block only", named=True)
def _():
    def run(self, ids):
        x = start(self, ids)
        for i, block in enumerate(self.blocks):
            x = block(x, causal_mask(ids.shape[1], ids.device) if i == 0 else None)
        return self.head(self.final_norm(x))
    return model(run)


@wrong("no positions", named=True)
def _():
    return model(lambda self, ids: self.head(self.final_norm(through(self, self.token_embedding(ids)))))


@wrong("positions added twice", named=True)
def _():
    def run(self, ids):
        x = self.positional_encoding(start(self, ids))
        return self.head(self.final_norm(through(self, x)))
    return model(run)


@wrong("embedding added twice", named=True)
def _():
    def run(self, ids):
        x = self.token_embedding(ids)
        return self.head(self.final_norm(through(self, x + self.positional_encoding(x))))
    return model(run)


@wrong("embedding scaled", named=True)
def _():
    def run(self, ids):
        x = self.token_embedding(ids)
        x = self.positional_encoding(x * math.sqrt(x.shape[-1]))
        return self.head(self.final_norm(through(self, x)))
    return model(run)


@wrong("no final norm", named=True)
def _():
    return model(lambda self, ids: self.head(through(self, start(self, ids))))


@wrong("final norm before the blocks", named=True)
def _():
    return model(lambda self, ids: self.head(through(self, self.final_norm(start(self, ids)))))


@wrong("softmax returned", named=True)
def _():
    return model(lambda self, ids: F.softmax(self.head(self.final_norm(through(self, start(self, ids)))), dim=-1))


@wrong("log-softmax returned", named=True)
def _():
    return model(lambda self, ids: F.log_softmax(self.head(self.final_norm(through(self, start(self, ids)))), -1))


@wrong("only the last position", named=True)
def _():
    return model(lambda self, ids: self.head(self.final_norm(through(self, start(self, ids))))[:, -1])


@wrong("head missing", named=True)
def _():
    return model(lambda self, ids: self.final_norm(through(self, start(self, ids))))


@wrong("only the last block: x not kept", named="only the last block")
def _():
    def run(self, ids):
        x = start(self, ids)
        mask = causal_mask(ids.shape[1], ids.device)
        for block in self.blocks:
            out = block(x, mask)
        return self.head(self.final_norm(out))
    return model(run)


@wrong("only the first block: return in the loop", named="only the first block")
def _():
    def run(self, ids):
        x = start(self, ids)
        for block in self.blocks:
            x = block(x, causal_mask(ids.shape[1], ids.device))
            return self.head(self.final_norm(x))
    return model(run)


@wrong("blocks in reverse order", named=True)
def _():
    def run(self, ids):
        x = start(self, ids)
        for block in reversed(self.blocks):
            x = block(x, causal_mask(ids.shape[1], ids.device))
        return self.head(self.final_norm(x))
    return model(run)


@wrong("residual around each block", named=True)
def _():
    def run(self, ids):
        x = start(self, ids)
        for block in self.blocks:
            x = x + block(x, causal_mask(ids.shape[1], ids.device))
        return self.head(self.final_norm(x))
    return model(run)


@wrong("too long ids are cropped silently", named="no error raised")
def _():
    def run(self, ids):
        return self.head(self.final_norm(through(self, start(self, ids[:, -self.max_len:]))))
    return model(run)


@wrong("works only when T equals max_len", named=True)
def _():
    def run(self, ids):
        x = self.token_embedding(ids)
        x = x + self.positional_encoding.table
        mask = causal_mask(self.max_len, ids.device)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.final_norm(x))
    return model(run)


@wrong("mask stays on the processor", named="hard-coded device")
def _():
    def run(self, ids):
        x = start(self, ids)
        mask = causal_mask(ids.shape[1])
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.final_norm(x))
    return model(run)


@wrong("dropout on the embedding", named="dropout outside the blocks")
def _():
    def run(self, ids):
        x = F.dropout(start(self, ids), self.blocks[0].feed_forward.dropout.p, self.training)
        return self.head(self.final_norm(through(self, x)))
    return model(run)


@wrong("evaluation mode in forward", named="mode changed")
def _():
    def run(self, ids):
        self.eval()
        return self.head(self.final_norm(through(self, start(self, ids))))
    return model(run)


@wrong("without gradients", named="gradient cut")
def _():
    def run(self, ids):
        with torch.no_grad():
            x = through(self, start(self, ids))
        return self.head(self.final_norm(x))
    return model(run)


@wrong("returns the ids of the largest logits")
def _():
    return model(lambda self, ids: self.head(self.final_norm(through(self, start(self, ids)))).argmax(-1))


@wrong("all zeros")
def _():
    return model(lambda self, ids: torch.zeros(*ids.shape, self.head.out_features, dtype=self.head.weight.dtype))


@wrong("logits transposed for cross_entropy")
def _():
    return model(lambda self, ids: self.head(self.final_norm(through(self, start(self, ids)))).transpose(1, 2))


@wrong("first of the batch only")
def _():
    def run(self, ids):
        logits = self.head(self.final_norm(through(self, start(self, ids[:1]))))
        return logits.expand(len(ids), -1, -1)
    return model(run)


@right("a tied head with smaller logits")
def _():
    class Tied(Base):
        def __init__(self, vocab_size, embed_dim=128, *args, **kwargs):
            super().__init__(vocab_size, embed_dim, *args, **kwargs)
            self.head = nn.Linear(embed_dim, vocab_size, bias=False)
            self.head.weight = self.token_embedding.embedding.weight
    return model(lambda self, ids: self.head(self.final_norm(through(self, start(self, ids)))) / 100, Tied)


@wrong("mask of the first call kept", named="remembers an earlier call")
def _():
    def run(self, ids):
        x = start(self, ids)
        if not hasattr(self, "mask"):
            self.mask = causal_mask(x.shape[1], device=x.device)
        for block in self.blocks:
            x = block(x, self.mask)
        return self.head(self.final_norm(x))
    return model(run)


@wrong("ids viewed as one row")
def _():
    def run(self, ids):
        x = start(self, ids.view(-1).view(ids.shape))  # fails for a transposed batch
        return self.head(self.final_norm(through(self, x)))
    return model(run)


@wrong("at most 64 positions are masked", named="looks ahead")
def _():
    def run(self, ids):
        x = start(self, ids)
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device)
        mask[:64, :64] = mask[:64, :64].tril()
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.final_norm(x))
    return model(run)


@wrong("weights of the first call kept", named="gradient cut")
def _():
    def run(self, ids):
        self.__dict__.setdefault("kept", self.head.weight.detach().clone())
        return F.linear(self.final_norm(through(self, start(self, ids))), self.kept.to(self.head.weight),
                        self.head.bias)
    return model(run)
