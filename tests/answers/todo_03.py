"""TODO 3, split_heads(x, num_heads) and merge_heads(x): wrong and right answers."""
import torch

from answers import right, wrong


def split_heads(x, num_heads):
    B, T, C = x.shape
    if C % num_heads != 0:
        raise ValueError(f"num_heads={num_heads} does not divide embed_dim={C}")
    return x.view(B, T, num_heads, C // num_heads).transpose(1, 2)


def merge_heads(x):
    B, H, T, D = x.shape
    return x.transpose(1, 2).reshape(B, T, H * D)


def checked(split):
    """split with the ValueError in front."""
    def split_heads(x, num_heads):
        if x.shape[-1] % num_heads:
            raise ValueError("num_heads must divide embed_dim")
        return split(x, num_heads)
    return split_heads


@wrong("unfinished", named="TODO 3")
def _():
    def split_heads(x, num_heads):
        raise NotImplementedError("TODO 3")
    return split_heads, merge_heads


@wrong("second half unfinished", named="TODO 3")
def _():
    def merge_heads(x):
        raise NotImplementedError("TODO 3")
    return split_heads, merge_heads


@wrong("all zero", named=True)
def _():
    def split(x, H):
        return torch.zeros(x.shape[0], H, x.shape[1], x.shape[2] // H, dtype=x.dtype)
    return checked(split), merge_heads


@wrong("not transposed", named=True)
def _():
    return checked(lambda x, H: x.view(x.shape[0], x.shape[1], H, -1)), merge_heads


@wrong("split without transpose", named=True)
def _():
    return checked(lambda x, H: x.view(x.shape[0], H, x.shape[1], -1)), merge_heads


@wrong("split and merge both without transpose", named="split without transpose")
def _():
    return (checked(lambda x, H: x.reshape(x.shape[0], H, x.shape[1], -1)),
            lambda x: x.reshape(x.shape[0], x.shape[2], -1))


@wrong("heads interleaved", named=True)
def _():
    return checked(lambda x, H: x.view(x.shape[0], x.shape[1], -1, H).permute(0, 3, 1, 2)), merge_heads


@wrong("heads interleaved, both ways", named="heads interleaved")
def _():
    return (checked(lambda x, H: x.view(x.shape[0], x.shape[1], -1, H).permute(0, 3, 1, 2)),
            lambda x: x.permute(0, 2, 3, 1).flatten(2))


@wrong("features before positions", named=True)
def _():
    return checked(lambda x, H: x.view(x.shape[0], x.shape[1], H, -1).permute(0, 2, 3, 1)), merge_heads


@wrong("D heads", named=True)
def _():
    return checked(lambda x, H: x.view(x.shape[0], x.shape[1], -1, H).transpose(1, 2)), merge_heads


@wrong("heads in reverse order", named=True)
def _():
    return checked(lambda x, H: split_heads(x, H).flip(1)), merge_heads


@wrong("no ValueError", named="no error raised")
def _():
    def split_heads(x, num_heads):
        D = x.shape[-1] // num_heads
        return torch.stack([x[..., h * D:(h + 1) * D] for h in range(num_heads)], dim=1)
    return split_heads, merge_heads


@wrong("RuntimeError instead of ValueError", named="wrong kind of error")
def _():
    def split_heads(x, num_heads):
        B, T, C = x.shape
        return x.view(B, T, num_heads, C // num_heads).transpose(1, 2)
    return split_heads, merge_heads


@wrong("assert instead of ValueError", named="wrong kind of error")
def _():
    def split_heads(x, num_heads):
        B, T, C = x.shape
        assert C % num_heads == 0
        return x.view(B, T, num_heads, C // num_heads).transpose(1, 2)
    return split_heads, merge_heads


@wrong("only more heads than features refused", named="no error raised")
def _():
    def split_heads(x, num_heads):
        D = x.shape[-1] // num_heads if 0 < num_heads <= x.shape[-1] else 0
        if D == 0:
            raise ValueError("num_heads must not be larger than embed_dim")
        return x[..., :num_heads * D].unflatten(-1, (num_heads, D)).transpose(1, 2)
    return split_heads, merge_heads


@wrong("message returned instead of raised", named="no error raised")
def _():
    def split_heads(x, num_heads):
        B, T, C = x.shape
        if C % num_heads:
            return ValueError("num_heads must divide embed_dim")
        return x.view(B, T, num_heads, C // num_heads).transpose(1, 2)
    return split_heads, merge_heads


@wrong("merge without transpose", named=True)
def _():
    return split_heads, lambda x: x.reshape(x.shape[0], x.shape[2], -1)


@wrong("merge interleaved", named=True)
def _():
    return split_heads, lambda x: x.permute(0, 2, 3, 1).reshape(x.shape[0], x.shape[2], -1)


@wrong("heads added up", named=True)
def _():
    return split_heads, lambda x: x.sum(1)


@wrong("not flattened", named=True)
def _():
    return split_heads, lambda x: x.transpose(1, 2)


@wrong("view needs a contiguous tensor", named="view of a non-contiguous tensor")
def _():
    def merge_heads(x):
        B, H, T, D = x.shape
        return x.transpose(1, 2).view(B, T, H * D)
    return split_heads, merge_heads


@wrong("strides of a contiguous tensor", named="works only on contiguous tensors")
def _():
    def split(x, H):
        B, T, C = x.shape
        return x.as_strided((B, H, T, C // H), (T * C, C // H, C, 1))
    return checked(split), merge_heads


@wrong("squeezed", named="dimension of size 1 lost")
def _():
    return checked(lambda x, H: split_heads(x, H).squeeze()), merge_heads


@wrong("positions and features confused")
def _():
    return checked(lambda x, H: split_heads(x.mT if x.shape[1] == x.shape[2] else x, H)), merge_heads


@wrong("results share memory", named=True)
def _():
    kept = {}

    def merge(x):
        result = merge_heads(x)
        if x.requires_grad:
            return result
        return kept.setdefault((result.shape, x.dtype, x.device), torch.empty_like(result)).copy_(result)
    return split_heads, merge


@wrong("remembers an earlier call", named=True)
def _():
    kept = {}

    def split(x, H):
        kept[x.numel()] = x
        return split_heads(x, H)
    return split, lambda x: kept[x.numel()] if x.numel() in kept else merge_heads(x)


@wrong("only float64 kept", named="works only in float32 and float64")
def _():
    return checked(lambda x, H: split_heads(x if x.dtype == torch.float64 else x.float(), H)), merge_heads


@wrong("only for a batch of 1", named="works only for a batch of 1")
def _():
    def split(x, H):
        return x[0].reshape(1, x.shape[1], H, -1).transpose(1, 2)
    return checked(split), merge_heads


@wrong("hard-coded number of heads", named="num_heads ignored")
def _():
    return checked(lambda x, H: x.view(x.shape[0], x.shape[1], 4, -1).transpose(1, 2)), merge_heads


@wrong("hard-coded dtype", named="works only in float32")
def _():
    return split_heads, lambda x: torch.cat([x[:, h].float() for h in range(x.shape[1])], dim=-1)


@wrong("hard-coded device", named=True)
def _():
    def merge_heads(x):
        B, H, T, D = x.shape
        merged = torch.zeros(B, T, H * D, dtype=x.dtype)
        for h in range(H):
            merged[:, :, h * D:(h + 1) * D] = x[:, h]
        return merged
    return split_heads, merge_heads


@wrong("detached", named="gradient cut")
def _():
    return checked(lambda x, H: split_heads(x.detach(), H)), merge_heads


@wrong("changes its input", named=True)
def _():
    def merge_heads(x):
        result = x.transpose(1, 2).flatten(2)
        x.zero_()
        return result
    return split_heads, merge_heads


@right("view and contiguous")
def _():
    def merge_heads(x):
        B, H, T, D = x.shape
        return x.transpose(1, 2).contiguous().view(B, T, H * D)
    return split_heads, merge_heads


@right("chunk and cat")
def _():
    def split_heads(x, num_heads):
        if x.size(-1) % num_heads:
            raise ValueError("the features cannot be divided")
        return torch.stack(x.chunk(num_heads, dim=-1), dim=1)

    def merge_heads(x):
        return torch.cat([x[:, h] for h in range(x.size(1))], dim=2)
    return split_heads, merge_heads


@right("unflatten and flatten")
def _():
    return checked(lambda x, H: x.unflatten(-1, (H, -1)).movedim(2, 1)), lambda x: x.movedim(1, 2).flatten(-2)


@right("permute, copies")
def _():
    def split(x, H):
        return x.clone().reshape(x.shape[0], x.shape[1], H, -1).permute(0, 2, 1, 3).contiguous()
    return checked(split), lambda x: x.permute(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


@right("loop that fills a tensor")
def _():
    def split_heads(x, num_heads):
        B, T, C = x.shape
        D, rest = divmod(C, max(num_heads, 1))
        if rest:
            raise ValueError(f"{C} features cannot be shared by {num_heads} heads")
        result = x.new_zeros(B, num_heads, T, D)
        for h in range(num_heads):
            result[:, h] = x[:, :, h * D:(h + 1) * D]
        return result

    def merge_heads(x):
        B, H, T, D = x.shape
        result = torch.empty(B, T, H * D, dtype=x.dtype, device=x.device)
        for h in range(H):
            result[:, :, h * D:(h + 1) * D] = x[:, h]
        return result
    return split_heads, merge_heads


@right("einsum with a choosing matrix")
def _():
    def merge_heads(x):
        B, H, T, D = x.shape
        choose = torch.eye(H * D, dtype=x.dtype, device=x.device).view(H, D, H * D)
        return torch.einsum("bhtd,hdc->btc", x, choose)
    return split_heads, merge_heads


@right("RuntimeError turned into ValueError, strides")
def _():
    def split_heads(x, num_heads):
        try:
            x.view(*x.shape[:2], num_heads, x.shape[2] // num_heads)
        except (RuntimeError, ZeroDivisionError) as error:
            raise ValueError(f"num_heads {num_heads} does not divide {x.shape[2]}") from error
        B, T, C = x.shape
        D = C // num_heads
        batch, position, feature = x.stride()
        return x.as_strided((B, num_heads, T, D), (batch, D * feature, position, feature))
    return split_heads, merge_heads


@right("recursion")
def _():
    def split(x, H):
        D = x.shape[-1] // H
        return x[:, None] if H == 1 else torch.cat([x[:, None, :, :D], split(x[..., D:], H - 1)], dim=1)

    def merge(x):
        return x[:, 0] if x.shape[1] == 1 else torch.cat([x[:, 0], merge(x[:, 1:])], dim=-1)
    return checked(split), merge
