"""TODO 7, TokenEmbedding.forward: wrong and right answers."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from answers import right, wrong


def made(forward):
    class TokenEmbedding(nn.Module):
        def __init__(self, vocab_size, embed_dim):
            super().__init__()
            self.embedding = nn.Embedding(vocab_size, embed_dim)

    TokenEmbedding.forward = forward
    return TokenEmbedding


@wrong("unfinished", named="TODO 7")
def _():
    def forward(self, ids):
        raise NotImplementedError("TODO 7")
    return made(forward)


@wrong("all zero", named=True)
def _():
    def forward(self, ids):
        return torch.zeros(*ids.shape, self.embedding.embedding_dim, dtype=self.embedding.weight.dtype)
    return made(forward)


@wrong("scaled", named=True)
def _():
    return made(lambda self, ids: self.embedding(ids) * math.sqrt(self.embedding.embedding_dim))


@wrong("transposed", named=True)
def _():
    return made(lambda self, ids: self.embedding(ids).transpose(1, 2))


@wrong("averaged over the positions", named=True)
def _():
    return made(lambda self, ids: self.embedding(ids).mean(dim=1))


@wrong("embedding bag", named="averaged over the positions")
def _():
    return made(lambda self, ids: F.embedding_bag(ids, self.embedding.weight))


@wrong("normalised", named=True)
def _():
    return made(lambda self, ids: F.normalize(self.embedding(ids), dim=-1))


@wrong("flattened", named=True)
def _():
    return made(lambda self, ids: self.embedding(ids.flatten()))


@wrong("ids off by one", named=True)
def _():
    def forward(self, ids):
        return self.embedding(torch.clamp(ids - 1, min=0)) if ids.min() > 0 else self.embedding.weight[ids - 1]
    return made(forward)


@wrong("only the first position", named=True)
def _():
    return made(lambda self, ids: self.embedding(ids[:, 0]))


@wrong("detached", named="gradient cut")
def _():
    return made(lambda self, ids: self.embedding(ids).detach())


@wrong("weights through .data", named="gradient cut")
def _():
    return made(lambda self, ids: self.embedding.weight.data[ids])


@wrong("works only for a batch of 1", named=True)
def _():
    return made(lambda self, ids: self.embedding(ids[0]).unsqueeze(0))


@wrong("the table returned")
def _():
    return made(lambda self, ids: self.embedding.weight)


@wrong("float ids", named=None)
def _():
    return made(lambda self, ids: self.embedding(ids.float()))


@wrong("hard-coded dtype", named="works only in float32")
def _():
    return made(lambda self, ids: self.embedding(ids).float())


@wrong("hard-coded device", named=True)
def _():
    def forward(self, ids):
        one_hot = torch.eye(self.embedding.num_embeddings, dtype=self.embedding.weight.dtype)[ids]
        return one_hot @ self.embedding.weight
    return made(forward)


@wrong("dropout", named="random results")
def _():
    return made(lambda self, ids: F.dropout(self.embedding(ids), 0.2))


@wrong("nothing returned", named=True)
def _():
    def forward(self, ids):
        x = self.embedding(ids)
    return made(forward)


@wrong("scaled in evaluation mode", named="scaled")
def _():
    return made(lambda self, ids: self.embedding(ids) * (1 if self.training else self.embedding.embedding_dim**0.5))


@wrong("squeezed", named="dimension of size 1 lost")
def _():
    return made(lambda self, ids: self.embedding(ids).squeeze())


@wrong("ids in one byte", named="works only for small sizes")
def _():
    return made(lambda self, ids: self.embedding(ids.to(torch.uint8).long()))


@wrong("view of a non-contiguous tensor", named=True)
def _():
    return made(lambda self, ids: self.embedding(ids.view(-1)).view(*ids.shape, -1))


@wrong("id 0 does not learn", named="wrong gradient")
def _():
    return made(lambda self, ids: F.embedding(ids, self.embedding.weight, padding_idx=0))


@wrong("rows shortened in the table", named="weights changed")
def _():
    return made(lambda self, ids: F.embedding(ids, self.embedding.weight, max_norm=4.0))


@wrong("table kept from the first call", named="remembers an earlier call")
def _():
    def forward(self, ids):
        weight = self.embedding.weight
        kept = self.__dict__.setdefault("kept", {}).setdefault((weight.dtype, weight.device), weight.detach().clone())
        return kept[ids] + weight[ids] - weight[ids].detach()
    return made(forward)


@right("each id looked up once")
def _():
    def forward(self, ids):
        known, where = ids.unique(return_inverse=True)
        return self.embedding(known)[where]
    return made(forward)


@right("indexing")
def _():
    return made(lambda self, ids: self.embedding.weight[ids])


@right("one-hot product")
def _():
    def forward(self, ids):
        one_hot = F.one_hot(ids, self.embedding.num_embeddings).to(self.embedding.weight.dtype)
        return one_hot @ self.embedding.weight
    return made(forward)


@right("index_select")
def _():
    def forward(self, ids):
        B, T = ids.shape
        return self.embedding.weight.index_select(0, ids.reshape(-1)).view(B, T, -1)
    return made(forward)


@right("row by row")
def _():
    return made(lambda self, ids: torch.stack([self.embedding(row) for row in ids.long()]))
