"""TODO 16: TransformerBlock.__init__(embed_dim, num_heads, dropout=0.0)."""
from torch import nn

from answers import right, wrong
from helpers.oracle import FeedForward, MultiHeadAttention, SelfAttention


class Base(nn.Module):
    """The other method of the class, finished."""

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)[0]
        return x + self.feed_forward(self.norm2(x))


@right("plain, forward not written yet")
def _():
    class TransformerBlock(nn.Module):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__()
            self.norm1 = nn.LayerNorm(embed_dim)
            self.attention = MultiHeadAttention(embed_dim, num_heads, dropout)
            self.norm2 = nn.LayerNorm(embed_dim)
            self.feed_forward = FeedForward(embed_dim, dropout=dropout)

        def forward(self, x, mask=None):
            raise NotImplementedError("TODO 17")
    return TransformerBlock


@right("all by name, hidden size given, extra attributes")
def _():
    class TransformerBlock(Base):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__()
            self.embed_dim, self.num_heads = embed_dim, num_heads
            self.norm1, self.norm2 = (nn.LayerNorm([embed_dim], eps=1e-5, bias=True) for _ in range(2))
            self.feed_forward = FeedForward(embed_dim=embed_dim, hidden_dim=4 * embed_dim, dropout=dropout)
            self.attention = MultiHeadAttention(embed_dim=embed_dim, num_heads=num_heads, dropout=dropout)
            self.half = nn.Sequential(self.norm2, self.feed_forward)
    return TransformerBlock


@right("layers made in a helper, setattr in a loop")
def _():
    class TransformerBlock(Base):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__()
            for name, layer in self.parts(embed_dim, num_heads, dropout).items():
                setattr(self, name, layer)

        @staticmethod
        def parts(C, H, p):
            return {"norm1": nn.LayerNorm((C,)), "norm2": nn.LayerNorm((C,)),
                    "attention": MultiHeadAttention(C, H, p), "feed_forward": FeedForward(C, None, p)}
    return TransformerBlock


def block(make):
    """A block whose __init__ calls make(self, C, H, p): the wrong answers differ only there."""
    class TransformerBlock(Base):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__()
            self.norm1 = nn.LayerNorm(embed_dim)
            self.norm2 = nn.LayerNorm(embed_dim)
            self.attention = MultiHeadAttention(embed_dim, num_heads, dropout)
            self.feed_forward = FeedForward(embed_dim, 4 * embed_dim, dropout)
            make(self, embed_dim, num_heads, dropout)
    return TransformerBlock


@wrong("one norm for both places", named=True)
def _():
    def make(self, C, H, p):
        self.norm1 = self.norm2 = nn.LayerNorm(C)
    return block(make)


@wrong("norm2 missing", named="missing attribute")
def _():
    def make(self, C, H, p):
        del self.norm2
    return block(make)


@wrong("batch norm", named="wrong kind of norm")
def _():
    def make(self, C, H, p):
        self.norm1, self.norm2 = nn.BatchNorm1d(C), nn.BatchNorm1d(C)
    return block(make)


@wrong("RMSNorm", named="wrong kind of norm")
def _():
    def make(self, C, H, p):
        self.norm1, self.norm2 = nn.RMSNorm(C), nn.RMSNorm(C)
    return block(make)


@wrong("other names", named="The attribute norm1 is missing (there is attention, feed_forward, ln1, ln2)")
def _():
    def make(self, C, H, p):
        self.ln1, self.ln2 = self.norm1, self.norm2
        del self.norm1, self.norm2
    return block(make)


@wrong("a norm without bias", named="norm without bias")
def _():
    def make(self, C, H, p):
        self.norm2 = nn.LayerNorm(C, bias=False)
    return block(make)


@wrong("weights of the norms tied", named="shared weights")
def _():
    def make(self, C, H, p):
        self.norm2.weight = self.norm1.weight
    return block(make)


@wrong("a third norm", named="more weights than asked for")
def _():
    def make(self, C, H, p):
        self.norm3 = nn.LayerNorm(C)
    return block(make)


@wrong("another eps", named="norm1.eps should be 1e-05")
def _():
    def make(self, C, H, p):
        self.norm1 = nn.LayerNorm(C, eps=1e-6)
    return block(make)


@wrong("layers kept in a plain list", named="not registered")
def _():
    def make(self, C, H, p):
        self.layers = [self.attention, self.feed_forward]
        del self.attention, self.feed_forward
        self.__dict__.update(attention=self.layers[0], feed_forward=self.layers[1])
    return block(make)


@wrong("as many heads as divide", named="no error raised")
def _():
    class TransformerBlock(block(lambda *sizes: None)):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            while embed_dim % num_heads:
                num_heads -= 1
            super().__init__(embed_dim, num_heads, dropout)
    return TransformerBlock


@wrong("one head not allowed")
def _():
    def make(self, C, H, p):
        if H < 2:
            raise ValueError("num_heads must be at least 2")
    return block(make)


@wrong("norm over a head only")
def _():
    def make(self, C, H, p):
        self.norm1 = nn.LayerNorm(C // H)
    return block(make)


@wrong("nn.MultiheadAttention", named="PyTorch's own layer")
def _():
    def make(self, C, H, p):
        self.attention = nn.MultiheadAttention(C, H, dropout=p, batch_first=True)
    return block(make)


@wrong("a single head", named="one head only")
def _():
    def make(self, C, H, p):
        self.attention = SelfAttention(C)
    return block(make)


@wrong("num_heads fixed at 1", named="num_heads not passed on")
def _():
    def make(self, C, H, p):
        self.attention = MultiHeadAttention(C, 1, p)
    return block(make)


@wrong("C / num_heads heads", named="num_heads is not the size of a head")
def _():
    def make(self, C, H, p):
        self.attention = MultiHeadAttention(C, C // H, p)
    return block(make)


@wrong("dropout not passed on", named=True)
def _():
    def make(self, C, H, p):
        self.attention, self.feed_forward = MultiHeadAttention(C, H), FeedForward(C)
    return block(make)


@wrong("dropout of at most 0.5")
def _():
    def make(self, C, H, p):
        self.attention = MultiHeadAttention(C, H, min(p, 0.5))
    return block(make)


@wrong("dropout not passed on to attention", named=True)
def _():
    def make(self, C, H, p):
        self.attention = MultiHeadAttention(C, H)
    return block(make)


@wrong("dropout not passed on to feed_forward", named=True)
def _():
    def make(self, C, H, p):
        self.feed_forward = FeedForward(C)
    return block(make)


@wrong("dropout given as hidden_dim", named=True)
def _():
    def make(self, C, H, p):
        self.feed_forward = FeedForward(C, p)
    return block(make)


@wrong("feed-forward as wide as C", named="hidden size")
def _():
    def make(self, C, H, p):
        self.feed_forward = FeedForward(C, C, p)
    return block(make)


@wrong("a Sequential instead of FeedForward")
def _():
    def make(self, C, H, p):
        self.feed_forward = nn.Sequential(nn.Linear(C, 4 * C), nn.GELU(), nn.Linear(4 * C, C), nn.Dropout(p))
    return block(make)


@wrong("super().__init__() missing", named=True)
def _():
    class TransformerBlock(Base):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            self.norm1 = nn.LayerNorm(embed_dim)
            self.norm2 = nn.LayerNorm(embed_dim)
            self.attention = MultiHeadAttention(embed_dim, num_heads, dropout)
            self.feed_forward = FeedForward(embed_dim, dropout=dropout)
    return TransformerBlock
