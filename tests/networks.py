"""Small networks of the kinds whose parts people take away, written as people write them."""

import torch
from torch import nn
from torch.nn import functional as F


class ViT(nn.Module):
    """A vision transformer of nn.MultiheadAttention: class token, added positions, pre-norm, layer scales."""

    def __init__(self, width=16, depth=2, heads=4, patch=4, size=8, classes=5):
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width))
        self.blocks = nn.ModuleList(ViTBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, images):
        x = self.embed(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class ViTBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.scale1 = nn.Parameter(torch.full((width,), 1e-4))
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.scale1 * self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Encoder(nn.Module):
    """torch's own encoder over tokens; it has a fused path in evaluation."""

    def __init__(self, norm_first=False, width=16, heads=4):
        super().__init__()
        self.embed = nn.Embedding(11, width)
        layer = nn.TransformerEncoderLayer(width, heads, 32, 0.0, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 3)

    def forward(self, tokens):
        return self.head(self.encoder(self.embed(tokens)).mean(1))


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class GroupedAttention(nn.Module):
    """Grouped queries; returns a tuple whose second member nobody reads."""

    def __init__(self, width, heads, groups):
        super().__init__()
        self.num_heads, self.groups, self.size = heads, groups, width // heads
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, groups * self.size, bias=False)
        self.v = nn.Linear(width, groups * self.size, bias=False)
        self.o = nn.Linear(width, width)

    def forward(self, hidden_states, *, mask=None):
        n, t, _ = hidden_states.shape
        q = self.q(hidden_states).view(n, t, self.num_heads, self.size).transpose(1, 2)
        k, v = (
            layer(hidden_states).view(n, t, self.groups, self.size).transpose(1, 2)
            .repeat_interleave(self.num_heads // self.groups, 1)
            for layer in (self.k, self.v)
        )  # fmt: skip
        weights = (q @ k.transpose(-2, -1) / self.size**0.5 + mask).softmax(-1)
        return self.o((weights @ v).transpose(1, 2).reshape(n, t, -1)), weights


class GatedMLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gate, self.up = nn.Linear(width, 2 * width), nn.Linear(width, 2 * width)
        self.act, self.down = nn.SiLU(), nn.Linear(2 * width, width)

    def forward(self, x):
        return self.down(self.act(self.gate(x)) * self.up(x))


class DecoderBlock(nn.Module):
    attention_kind = "full"

    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2, self.after = RMSNorm(width), RMSNorm(width), RMSNorm(width)
        self.attention = GroupedAttention(width, 4, 2)
        self.mlp = GatedMLP(width)

    def forward(self, hidden_states, *, mask):
        residual = hidden_states
        hidden_states, _ = self.attention(hidden_states=self.norm1(hidden_states), mask=mask)
        hidden_states = residual + self.after(hidden_states)
        return (hidden_states + self.mlp(self.norm2(hidden_states)),)


class Decoder(nn.Module):
    """A language model as they are written: RMS norms, grouped queries, a gated MLP, tuples, a tied head."""

    def __init__(self, width=16, depth=2, words=13):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.layers = nn.ModuleList(DecoderBlock(width) for _ in range(depth))
        self.norm = RMSNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        x = self.embed(tokens)
        masks = {"full": torch.full((tokens.shape[1],) * 2, -1e9, device=x.device).triu(1)}
        for layer in self.layers:
            x = layer(x, mask=masks[layer.attention_kind])[0]
        return self.head(self.norm(x))


class PostNorm(nn.Module):
    """A post-norm encoder whose attention writes everything out, with learned positions in an embedding."""

    def __init__(self, width=16):
        super().__init__()
        self.words, self.positions = nn.Embedding(11, width), nn.Embedding(6, width)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = nn.Dropout(0.0)
        self.wide, self.act, self.narrow = nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width)
        self.head = nn.Linear(width, 3)

    def forward(self, tokens):
        x = self.words(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        q, k, v = (layer(x).unflatten(-1, (2, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.drop(self.out(y)))
        x = self.norm2(x + self.narrow(self.act(self.wide(x))))
        return self.head(x.mean(1))


class Inception(nn.Module):
    """Branches that are concatenated, a dense layer whose output several concatenations take, a gate, a shared layer."""

    def __init__(self, width=8):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.one = nn.Sequential(nn.Conv2d(width, 4, 1), nn.ReLU(inplace=True))
        self.three = nn.Sequential(nn.Conv2d(width, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.dense1 = nn.Conv2d(8, 4, 3, padding=1)
        self.dense2 = nn.Conv2d(12, 4, 3, padding=1)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Sigmoid())
        self.shared = nn.ReLU(inplace=True)
        self.after = nn.Conv2d(16, 16, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(16, 5)
        self.spare = nn.Linear(2, 2)

    def forward(self, images):
        x = self.stem(images)
        x = torch.cat([self.one(x), self.three(x)], 1)
        x = torch.cat([x, self.dense1(x)], 1)
        x = torch.cat([x, self.dense2(x)], 1)
        x = x * self.squeeze(x)
        x = self.shared(self.after(self.shared(x)))
        return self.head(self.pool(x).flatten(1))


class WindowedAttention(nn.Module):
    """Attention in windows of two, with a relative position bias: the weights of its layers read by hand, as in swin."""

    def __init__(self, width=16, heads=4):
        super().__init__()
        self.num_heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias_table = nn.Parameter(torch.randn(3, heads))
        self.register_buffer("places", torch.tensor([[1, 2], [0, 1]]))

    def forward(self, x):
        n, t, width = x.shape
        qkv = F.linear(x.view(n * t // 2, 2, width), self.qkv.weight, self.qkv.bias)
        q, k, v = qkv.view(n * t // 2, 2, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        weights = q @ k.transpose(-2, -1) + self.bias_table[self.places.flatten()].view(2, 2, -1).permute(2, 0, 1)
        y = (weights.softmax(-1) @ v).transpose(1, 2).reshape(n * t // 2, 2, width)
        return F.linear(y, self.proj.weight, self.proj.bias).view(n, t, width)


class Attending(nn.Module):
    """One attention beside its shortcut, between an embedding of 6 tokens and a head."""

    def __init__(self, attention, width=16):
        super().__init__()
        self.embed, self.attention, self.head = nn.Embedding(11, width), attention, nn.Linear(width, 3)

    def forward(self, tokens):
        x = self.embed(tokens)
        given = {"mask": x.new_zeros(6, 6)} if isinstance(self.attention, GroupedAttention) else {}
        y = self.attention(x, x, x) if isinstance(self.attention, nn.MultiheadAttention) else self.attention(x, **given)
        return self.head((x + (y[0] if isinstance(y, tuple) else y)).mean(1))


class FusedAttention(nn.Module):
    def __init__(self, width=16, heads=4):
        super().__init__()
        self.num_heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Net(nn.Module):
    """Layers in a row, called by `forward`, which gets the network; between a first layer and a head."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 2)
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.way = forward

    def forward(self, x):
        return self.head(self.way(self, self.first(x)))


def images(n=4, size=8):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def tokens(n=4, length=6):
    return torch.randint(0, 11, (n, length), generator=torch.Generator().manual_seed(1))


def own():
    """Every network here with an example, by name; drawn from one seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return {
            "vit": (ViT(), images()),
            "encoder, post": (Encoder(), tokens()),
            "encoder, pre": (Encoder(norm_first=True), tokens()),
            "decoder": (Decoder(), tokens()),
            "post-norm": (PostNorm(), tokens()),
            "inception": (Inception(), images()),
        }
