"""The oracle's pieces of TODOs 3-13 against closed forms, and against PyTorch's modules."""
import math

import pytest
import torch
from torch import nn

from helpers import oracle


def test_split_and_merge():
    x = torch.arange(2 * 3 * 6.0).view(2, 3, 6)
    heads = oracle.split_heads(x, 3)
    assert heads.shape == (2, 3, 3, 2)
    for h in range(3):
        assert torch.equal(heads[:, h], x[..., 2 * h:2 * h + 2])
    assert torch.equal(oracle.merge_heads(heads), x)
    with pytest.raises(ValueError, match="divisible"):
        oracle.split_heads(x, 4)


@pytest.mark.parametrize(("max_len", "embed_dim"), [(7, 4), (5, 7), (1, 1), (90, 12)])
def test_sinusoidal_table(max_len, embed_dim):
    table = oracle.sinusoidal_table(max_len, embed_dim)
    assert table.dtype == torch.float32 and table.shape == (max_len, embed_dim)
    for p in range(max_len):
        for j in range(embed_dim):
            angle = p / 10000 ** ((j - j % 2) / embed_dim)
            assert math.isclose(table[p, j], math.cos(angle) if j % 2 else math.sin(angle), abs_tol=1e-6)


def test_two_layer_net():
    net = oracle.TwoLayerNet(3, 5, 2)
    x = torch.randn(4, 6, 3)
    hidden = (x @ net.fc1.weight.T + net.fc1.bias).clamp(min=0)
    torch.testing.assert_close(net(x), hidden @ net.fc2.weight.T + net.fc2.bias)


def test_token_embedding():
    layer = oracle.TokenEmbedding(5, 3)
    ids = torch.tensor([[0, 4, 4]])
    assert torch.equal(layer(ids), layer.embedding.weight[ids])


def test_positional_encoding():
    layer = oracle.PositionalEncoding(6, 9)
    x = torch.randn(2, 4, 6)
    assert torch.equal(layer(x), x + layer.table[:4])
    assert [name for name, _ in layer.named_buffers()] == ["table"] and not list(layer.parameters())
    assert layer.double()(x.double()).dtype == torch.float64
    with pytest.raises(ValueError, match="max_len"):
        layer(torch.zeros(1, 10, 6))


@pytest.mark.parametrize("kind", [None, torch.bool, torch.int64, torch.float32])
def test_attention(kind):
    layer = oracle.SelfAttention(6)
    x = torch.randn(2, 4, 6)
    mask = None if kind is None else torch.ones(4, 4).tril().to(kind)
    output, weights = layer(x, mask)
    scores = layer.q_proj(x) @ layer.k_proj(x).mT / math.sqrt(6)
    expected = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(output, expected @ layer.v_proj(x))


@pytest.mark.parametrize("masked", [False, True])
def test_multi_head_attention_is_pytorchs(masked):
    B, T, C, H = 2, 5, 12, 3
    layer, pytorchs = oracle.MultiHeadAttention(C, H), nn.MultiheadAttention(C, H, batch_first=True)
    with torch.no_grad():
        pytorchs.in_proj_weight.copy_(torch.cat([layer.q_proj.weight, layer.k_proj.weight, layer.v_proj.weight]))
        pytorchs.in_proj_bias.copy_(torch.cat([layer.q_proj.bias, layer.k_proj.bias, layer.v_proj.bias]))
        pytorchs.out_proj.load_state_dict(layer.out_proj.state_dict())
    x, mask = torch.randn(B, T, C), torch.ones(T, T).tril() if masked else None
    output, weights = layer(x, mask)
    expected, maps = pytorchs(x, x, x, attn_mask=None if mask is None else mask == 0, average_attn_weights=False)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(weights, maps)
    with pytest.raises(ValueError, match="divisible"):
        oracle.MultiHeadAttention(C, 5)


def test_dropout_on_the_output_only():
    layer = oracle.MultiHeadAttention(8, 2, dropout=1.0)
    output, weights = layer(torch.randn(2, 3, 8))
    assert not output.any() and torch.allclose(weights.sum(-1), torch.ones(2, 2, 3))
