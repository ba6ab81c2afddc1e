"""TODO 8, sinusoidal_table(max_len, embed_dim): wrong and right answers."""
import functools
import math

import numpy as np
import torch

from answers import right, wrong


def table(max_len, embed_dim, even=torch.sin, odd=torch.cos, exponent=lambda pair, C: 2 * pair / C, base=10000.0,
          first=0, turn=1.0):
    """The usual way, with one thing to change."""
    p = torch.arange(first, first + max_len, dtype=torch.float32).unsqueeze(1)
    pair = torch.arange((embed_dim + 1) // 2, dtype=torch.float32)
    angle = p * turn / base ** exponent(pair, embed_dim)
    result = torch.zeros(max_len, embed_dim)
    result[:, 0::2] = even(angle)
    result[:, 1::2] = odd(angle[:, :embed_dim // 2])
    return result


@wrong("unfinished", named="TODO 8")
def _():
    def sinusoidal_table(max_len, embed_dim):
        raise NotImplementedError("TODO 8")
    return sinusoidal_table


@wrong("all zero", named=True)
def _():
    return lambda max_len, embed_dim: torch.zeros(max_len, embed_dim)


@wrong("halves instead of interleaved", named=True)
def _():
    def sinusoidal_table(max_len, embed_dim):
        p = torch.arange(max_len).unsqueeze(1)
        angle = p / 10000 ** (2 * torch.arange((embed_dim + 1) // 2) / embed_dim)
        return torch.cat([torch.sin(angle), torch.cos(angle)], dim=1)[:, :embed_dim]
    return sinusoidal_table


@wrong("sine and cosine swapped", named=True)
def _():
    return lambda P, C: table(P, C, even=torch.cos, odd=torch.sin)


@wrong("sine only", named=True)
def _():
    return lambda P, C: table(P, C, odd=torch.sin)


@wrong("exponent half", named=True)
def _():
    return lambda P, C: table(P, C, exponent=lambda i, C: i / C)


@wrong("exponent double", named=True)
def _():
    return lambda P, C: table(P, C, exponent=lambda i, C: 4 * i / C)


@wrong("each column has its own exponent", named=True)
def _():
    def sinusoidal_table(max_len, embed_dim):
        p = torch.arange(max_len, dtype=torch.float32)[:, None]
        column = torch.arange(embed_dim, dtype=torch.float32)
        result = p / 10000 ** (column / embed_dim)
        result[:, 0::2] = torch.sin(result[:, 0::2])
        result[:, 1::2] = torch.cos(result[:, 1::2])
        return result
    return sinusoidal_table


@wrong("each column has its own exponent, twice", named="each column has its own exponent")
def _():
    def sinusoidal_table(max_len, embed_dim):
        result = torch.zeros(max_len, embed_dim)
        for p in range(max_len):
            for j in range(embed_dim):
                angle = p / 10000 ** (2 * j / embed_dim)
                result[p, j] = math.sin(angle) if j % 2 == 0 else math.cos(angle)
        return result
    return sinusoidal_table


@wrong("last wave reaches 10000", named=True)
def _():
    return lambda P, C: table(P, C, exponent=lambda i, C: i / max(C // 2 - 1, 1))


@wrong("exponent without C", named=True)
def _():
    return lambda P, C: table(P, C, exponent=lambda i, C: 2 * i)


@wrong("multiplied instead of divided", named=True)
def _():
    def sinusoidal_table(max_len, embed_dim):
        result = torch.zeros(max_len, embed_dim, dtype=torch.float64)
        p = torch.arange(max_len, dtype=torch.float64).unsqueeze(1)
        angle = p * 10000 ** (torch.arange(0, embed_dim, 2, dtype=torch.float64) / embed_dim)
        result[:, 0::2] = torch.sin(angle)
        result[:, 1::2] = torch.cos(angle)[:, :embed_dim // 2]
        return result.float()
    return sinusoidal_table


@wrong("another base than 10000", named=True)
def _():
    return lambda P, C: table(P, C, base=1000.0)


@wrong("positions from 1", named=True)
def _():
    return lambda P, C: table(P, C, first=1)


@wrong("degrees", named=True)
def _():
    return lambda P, C: table(P, C, turn=math.pi / 180)


@wrong("2 pi", named=True)
def _():
    return lambda P, C: table(P, C, turn=2 * math.pi)


@wrong("whole-number division", named=True)
def _():
    def sinusoidal_table(max_len, embed_dim):
        p = torch.arange(max_len).unsqueeze(1)
        angle = p // 10000 ** (torch.arange(0, embed_dim, 2) / embed_dim)
        result = torch.zeros(max_len, embed_dim)
        result[:, 0::2] = torch.sin(angle)
        result[:, 1::2] = torch.cos(angle)[:, :embed_dim // 2]
        return result
    return sinusoidal_table


@wrong("transposed", named=True)
def _():
    return lambda P, C: table(P, C).T


@wrong("batch dimension", named=True)
def _():
    return lambda P, C: table(P, C).unsqueeze(0)


@wrong("float64", named="wrong dtype")
def _():
    return lambda P, C: table(P, C).double()


@wrong("odd embed_dim breaks", named="works only for an even embed_dim")
def _():
    def sinusoidal_table(max_len, embed_dim):
        p = torch.arange(max_len).unsqueeze(1)
        rate = torch.exp(torch.arange(0, embed_dim, 2) * (-math.log(10000.0) / embed_dim))
        result = torch.zeros(max_len, embed_dim)
        result[:, 0::2] = torch.sin(p * rate)
        result[:, 1::2] = torch.cos(p * rate)
        return result
    return sinusoidal_table


@wrong("last column empty", named=True)
def _():
    def sinusoidal_table(max_len, embed_dim):
        result = torch.zeros(max_len, embed_dim)
        p = torch.arange(max_len, dtype=torch.float32)
        for i in range(embed_dim // 2):
            angle = p / 10000 ** (2 * i / embed_dim)
            result[:, 2 * i] = torch.sin(angle)
            result[:, 2 * i + 1] = torch.cos(angle)
        return result
    return sinusoidal_table


@wrong("last column missing", named=True)
def _():
    return lambda P, C: table(P, C)[:, :C - C % 2]


@wrong("one column too many", named=True)
def _():
    def sinusoidal_table(max_len, embed_dim):
        angle = torch.arange(max_len)[:, None] / 10000 ** (torch.arange(0, embed_dim, 2) / embed_dim)
        return torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1).flatten(1)
    return sinusoidal_table


@wrong("angles returned", named=True)
def _():
    return lambda P, C: table(P, C, even=lambda a: a, odd=lambda a: a)


@wrong("hard-coded length", named=None)
def _():
    return lambda P, C: table(100, C)


@wrong("numpy array", named="not a tensor")
def _():
    return lambda P, C: table(P, C).numpy()


@wrong("parameter", named="not a tensor")
def _():
    return lambda P, C: torch.nn.Parameter(table(P, C))


@wrong("odd columns empty", named=True)
def _():
    return lambda P, C: table(P, C, odd=torch.zeros_like)


@wrong("exponent rounded down", named=True)
def _():
    return lambda P, C: table(P, C, exponent=lambda i, C: i / max(C // 2, 1))


@wrong("positions in one byte", named="works only for at most 100 positions")
def _():
    def sinusoidal_table(max_len, embed_dim):
        p = torch.arange(max_len).to(torch.uint8).double()[:, None]
        column = torch.arange(embed_dim)
        angle = p / 10000 ** ((column - column % 2) / embed_dim)
        return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()
    return sinusoidal_table


@wrong("at most 512 rows", named="works only for at most 100 positions")
def _():
    return lambda P, C: table(min(P, 512), C)


@wrong("at most 64 columns", named="works only for an embed_dim of at most 32")
def _():
    return lambda P, C: torch.nn.functional.pad(table(P, C)[:, :64], (0, max(C - 64, 0)))


@wrong("one row refused", named="works only for more than one position")
def _():
    def sinusoidal_table(max_len, embed_dim):
        if max_len < 2:
            raise ValueError("max_len must be at least 2")
        return table(max_len, embed_dim)
    return sinusoidal_table


@wrong("first table of each width kept", named="works only as long as no longer table is asked for")
def _():
    kept = {}
    return lambda P, C: kept.setdefault(C, table(P, C))[:P].clone()


@wrong("one table for all callers", named="results share memory")
def _():
    return functools.cache(table)


@right("kept, and a copy for each caller")
def _():
    kept = functools.cache(table)
    return lambda P, C: kept(P, C).clone()


@right("each row turned from the one before, in float64")
def _():
    def sinusoidal_table(max_len, embed_dim):
        turn = torch.polar(torch.tensor(1.0).double(), 10000 ** (-torch.arange(0, embed_dim, 2).double() / embed_dim))
        rows = [torch.ones_like(turn)]
        for _ in range(max_len - 1):
            rows.append(rows[-1] * turn)
        return torch.view_as_real(torch.stack(rows)).flip(-1).flatten(1)[:, :embed_dim].float()
    return sinusoidal_table


@right("exp and log")
def _():
    def sinusoidal_table(max_len, embed_dim):
        p = torch.arange(max_len).float().unsqueeze(1)
        rate = torch.exp(torch.arange(0, embed_dim, 2).float() * (-math.log(10000.0) / embed_dim))
        result = torch.zeros(max_len, embed_dim)
        result[:, 0::2] = torch.sin(p * rate)
        result[:, 1::2] = torch.cos(p * rate[:embed_dim // 2])
        return result
    return sinusoidal_table


@right("loops in plain Python")
def _():
    def sinusoidal_table(max_len, embed_dim):
        def entry(p, j):
            angle = p / 10000 ** (2 * (j // 2) / embed_dim)
            return math.cos(angle) if j % 2 else math.sin(angle)
        return torch.tensor([[entry(p, j) for j in range(embed_dim)] for p in range(max_len)])
    return sinusoidal_table


@right("stack and flatten in float64")
def _():
    def sinusoidal_table(max_len, embed_dim):
        i = torch.arange((embed_dim + 1) // 2, dtype=torch.float64)
        angle = torch.outer(torch.arange(max_len, dtype=torch.float64), 10000 ** (-2 * i / embed_dim))
        return torch.stack([angle.sin(), angle.cos()], dim=2).reshape(max_len, -1)[:, :embed_dim].float()
    return sinusoidal_table


@right("sine with a shift of pi / 2")
def _():
    def sinusoidal_table(max_len, embed_dim):
        column = torch.arange(embed_dim)
        angle = torch.arange(max_len)[:, None] / torch.pow(10000.0, (column - column % 2) / embed_dim)
        return torch.sin(angle + (column % 2) * (torch.pi / 2))
    return sinusoidal_table


@right("numpy inside")
def _():
    def sinusoidal_table(max_len, embed_dim):
        angle = np.arange(max_len)[:, None] / np.power(10000, 2 * (np.arange(embed_dim) // 2) / embed_dim)
        return torch.from_numpy(np.where(np.arange(embed_dim) % 2 == 0, np.sin(angle), np.cos(angle))).float()
    return sinusoidal_table


@right("usual way")
def _():
    return table
