"""The course's front picture: TinyLLM from ids to logits."""
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from .base import BLACK, BLUE, GREEN, MONO, ORANGE, Picture, plural, styled, whole_number

GREY = "#595959"
# Fill and edge of each kind of box; the words in it are black on a pale fill.
KINDS = {"data": ("#FFFFFF", BLACK), "embed": ("#DCEBF6", BLUE), "norm": ("#F2F2F2", GREY),
         "attend": ("#FBE4D5", ORANGE), "feed": ("#D8F0E7", GREEN), "head": ("#F6E6EF", "#A0507F")}


@styled
def architecture(vocab_size=65, embed_dim=128, num_heads=4, num_layers=4, block_size=128, anatomy=None):
    """Diagram of TinyLLM: shapes at the arrows; beside each part its class, TODOs and number of parameters.

    anatomy: a `helpers.inside.Anatomy`; then sizes, shapes and parameters are those of that model, and its shares
    of the parameters are written too.
    """
    if anatomy:
        vocab_size, embed_dim = anatomy.parts["head"].gives[-1], anatomy.parts["head"].takes[-1]
        num_heads, num_layers, block_size = anatomy.num_heads, anatomy.blocks, anatomy.max_len
    V, C, H, N, L = (whole_number(value, name) for value, name in (
        (vocab_size, "vocab_size"), (embed_dim, "embed_dim"), (num_heads, "num_heads"),
        (num_layers, "num_layers"), (block_size, "block_size")))
    if C % H:
        raise ValueError(f"embed_dim must be divisible by num_heads; {C} and {H} were given.")
    counts = {"token_embedding": V * C, "norm1": 2 * C, "attention": 4 * (C * C + C), "norm2": 2 * C,
              "feed_forward": 8 * C * C + 5 * C, "final_norm": 2 * C, "head": C * V + V}
    of_a_block = ("norm1", "attention", "norm2", "feed_forward")
    blocks = N * sum(counts[part] for part in of_a_block)
    total = blocks + counts["token_embedding"] + counts["final_norm"] + counts["head"]
    gives = dict.fromkeys(("token_embedding", "positional_encoding", *of_a_block, "final_norm"), "(B, T, C)")
    gives |= {"ids": "(B, T)", "table": "(T, C)", "mask": "(T, T)", "head": "(B, T, V)"}
    letters = f"B = texts at a time\nT = length, at most {L}\nC = {C} features\nV = {V} characters"
    if anatomy:
        for name in counts:
            counts[name] = anatomy.parts[f"blocks.0.{name}" if name in of_a_block else name].parameters
        blocks = sum(part.parameters for name, part in anatomy.parts.items() if name.startswith("blocks."))
        total, T = anatomy.parameters, anatomy.ids[-1]
        gives = {name.removeprefix("blocks.0."): str(part.gives) for name, part in anatomy.parts.items()}
        gives |= {"ids": str(anatomy.ids), "table": f"({T}, {C})", "mask": f"({T}, {T})"}
        letters = f"1 text\nof {plural(T, 'character')},\n{C} features each,\n{V} possible next ones"
    said = {name: f"{n:,} parameters" + (f", {n / total:.1%}" if anatomy else "") for name, n in counts.items()}

    d = Diagram(8.2, 9.3)
    d.box(9.0, "token ids", "data", "ids of the characters", "CharTokenizer, TODO 22-24\nTextDataset, TODO 25-27")
    d.arrow(8.79, 8.36, gives["ids"])
    d.box(8.15, "token embedding", "embed", "TokenEmbedding", f"TODO 6-7, {said['token_embedding']}")
    d.arrow(7.94, 7.59, gives["token_embedding"])
    d.plus(7.43, "PositionalEncoding", "TODO 8-9, a fixed table")
    d.side_box(7.43, f"sine and cosine\ntable {gives['table']}", "embed", d.middle - 0.16)
    d.arrow(7.27, 6.46, gives["positional_encoding"], label_at=7.05)

    d.frame(6.85, 2.5)
    d.residual(6.68, 4.92)
    d.box(6.25, "layer norm", "norm", "norm1 (LayerNorm)", said["norm1"])
    d.arrow(6.04, 5.71, gives["norm1"])
    d.box(5.5, "multi-head attention", "attend", "MultiHeadAttention",
          f"TODO 10-13, {said['attention']},\n{H} heads of {C // H} features each")
    d.side_box(5.5, f"causal mask\n{gives['mask']}", "data", d.middle - 1.25)
    d.arrow(5.29, 5.08)
    d.plus(4.92)
    d.arrow(4.76, 4.31)
    d.residual(4.56, 2.77)
    d.box(4.1, "layer norm", "norm", "norm2 (LayerNorm)", said["norm2"])
    d.arrow(3.89, 3.56, gives["norm2"])
    d.box(3.35, "feed-forward", "feed", "FeedForward", f"TODO 14-15, {said['feed_forward']},\nC to 4C, GELU, 4C to C")
    d.arrow(3.14, 2.93)
    d.plus(2.77)
    d.text(1.05, 4.25, f"{N} \u00d7", 22, fontweight="bold", ha="center", va="center")
    d.text(1.05, 3.78, "TransformerBlock\nTODO 16-17", ha="center", va="center")

    d.arrow(2.61, 2.06, gives["feed_forward"], label_at=2.3)
    d.box(1.85, "layer norm", "norm", "final_norm (LayerNorm)", said["final_norm"])
    d.arrow(1.64, 1.31, gives["final_norm"])
    d.box(1.1, "linear head", "head", "head (Linear)", said["head"])
    d.arrow(0.89, 0.56, gives["head"])
    d.box(0.35, "logits", "data", f"{V} scores at each position",
          "softmax makes them probabilities of\nthe next character")

    d.text(0.25, 8.98, "TinyLLM", 17, fontweight="bold", va="center")
    d.text(0.25, 8.64, f"TODO 18-19\n{total:,} parameters", va="top")
    d.text(0.25, 1.95, letters, va="top", linespacing=1.5)
    sizes, logits = (gives[name].replace("C", str(C)).replace("V", str(V)) for name in ("token_embedding", "head"))
    d.alt = (f"TinyLLM from top to bottom: token ids {gives['ids']}; token embedding to {sizes}, plus a table of sines "
             f"and cosines; {plural(N, 'transformer block')}; a final layer norm; a linear head to logits {logits}. In "
             f"each block, what layer norm and attention ({plural(H, 'head')}, causal mask) make of the input is added "
             f"to it, and then the same with layer norm and feed-forward: these are the residual connections. "
             f"{total:,} parameters, {blocks / total:.0%} of them in the blocks.")
    return d.finish()


class Diagram:
    """Boxes, arrows and notes along one vertical line; every coordinate is in inches from the bottom left."""

    middle, around, notes = 3.5, 5.12, 5.6      # x of the main line, the residual connections, the notes

    def __init__(self, width, height):
        self.fig, self.alt = Picture(width, height), ""
        self.fig.set_layout_engine("none")
        self.ax = self.fig.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
        self.ax.set_axis_off()

    def text(self, x, y, words, size=10, **style):
        self.ax.text(x, y, words, fontsize=size, zorder=4, **style)

    def note(self, y, name, more):
        self.text(self.notes, y + 0.02, name, fontweight="bold", va="bottom")
        self.text(self.notes, y - 0.02, more, 9.5, va="top", color=GREY, linespacing=1.25)

    def shape(self, x, y, width, height, kind, rounding=0.09, zorder=3):
        fill, edge = KINDS[kind]
        self.ax.add_patch(FancyBboxPatch((x, y), width, height, facecolor=fill, edgecolor=edge, linewidth=1.6,
                                         zorder=zorder, boxstyle=f"round,pad=0,rounding_size={rounding}"))

    def box(self, y, words, kind, name, more):
        self.shape(self.middle - 1.25, y - 0.21, 2.5, 0.42, kind)
        self.text(self.middle, y, words, 11.5, ha="center", va="center")
        self.note(y, name, more)

    def side_box(self, y, words, kind, to):
        """A box left of the main line, with an arrow to x = `to` on it."""
        self.shape(0.3, y - 0.25, 1.5, 0.5, kind)
        self.text(1.05, y, words, ha="center", va="center")
        self.line((1.8, y), (to, y))

    def frame(self, top, bottom):
        """The block that is repeated, behind everything."""
        self.ax.add_patch(FancyBboxPatch((2.02, bottom), 3.36, top - bottom, facecolor="#FAFAFA", edgecolor=GREY,
                                         linewidth=1.4, linestyle=(0, (4, 3)), zorder=0,
                                         boxstyle="round,pad=0,rounding_size=0.15"))

    def line(self, *points, color=BLACK):
        """A line through `points` that ends in an arrow head."""
        self.ax.add_patch(FancyArrowPatch(path=Path(points), arrowstyle="-|>,head_width=2.2,head_length=4.2",
                                          color=color, linewidth=1.7, joinstyle="miter", capstyle="butt", zorder=2))

    def arrow(self, top, bottom, shape="", label_at=None):
        """An arrow down the main line; `shape` of what flows there is written left of it."""
        self.line((self.middle, top), (self.middle, bottom))
        self.text(self.middle - 0.14, (top + bottom) / 2 if label_at is None else label_at, shape, ha="right",
                  va="center", fontfamily=MONO)

    def residual(self, top, bottom):
        """The way round a sub-layer: out of the main line at `top`, into the sum at `bottom`."""
        self.line((self.middle, top), (self.around, top), (self.around, bottom), (self.middle + 0.16, bottom),
                  color=BLUE)
        self.ax.plot(self.middle, top, "o", color=BLUE, markersize=6, zorder=3)
        self.text(self.around - 0.15, (top + bottom) / 2, "residual", 9.5, color=BLUE, rotation=270, ha="center",
                  va="center")

    def plus(self, y, name="", more=""):
        self.ax.add_patch(Circle((self.middle, y), 0.16, facecolor="white", edgecolor=BLACK, linewidth=1.6, zorder=3))
        self.ax.plot(self.middle, y, "+", color=BLACK, markersize=13, markeredgewidth=1.7, zorder=4)
        self.note(y, name, more)

    def finish(self):
        self.fig.alt = self.alt
        return self.fig
