"""This program's dropout masks, for PyTorch: the same generator, written again.

The mask of a place in a step is made of streams of 32-bit words of ChaCha8 (as RFC 8439, with 8 rounds, a counter of 64 bits
and a stream number of 64 bits). A value is dropped where its word is below the whole part of `rate * 2^32`, and divided by
`1 - rate` elsewhere.
The key is the SHA-256 of: the run's seed; the length of the purpose and the purpose, `dropout PLACE`, where PLACE is the
name of the module in the checkpoint; the step. Numbers are 64 bits, the lowest byte first.

* Hidden states (captions x tokens x width, in this order) are cut into pieces of 16384 values; a piece is a stream.
* Attention probabilities: each head of each caption (`caption * heads + head`) is a stream, of (queries x keys).
"""
import hashlib
import struct

import numpy as np
import torch
from torch import nn

PIECE = 16384


def chacha8(key, stream, count):
    """The first `count` words of a stream."""
    blocks = -(-count // 16)
    state = np.zeros((16, blocks), np.uint32)
    state[:4] = np.frombuffer(b"expand 32-byte k", "<u4")[:, None]
    state[4:12] = np.frombuffer(key, "<u4")[:, None]
    state[12] = np.arange(blocks, dtype=np.uint32)
    state[14], state[15] = stream & 0xFFFFFFFF, stream >> 32
    words = state.copy()
    rotate = lambda xs, n: (xs << np.uint32(n)) | (xs >> np.uint32(32 - n))

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            words[x] += words[y]
            words[z] = rotate(words[z] ^ words[x], n)

    for _ in range(4):
        for n in range(4):
            quarter(n, n + 4, n + 8, n + 12)
        for n in range(4):
            quarter(n, 4 + (n + 1) % 4, 8 + (n + 2) % 4, 12 + (n + 3) % 4)
    return (words + state).T.reshape(-1)[:count]


class Masks:
    """The factors, 0 or `1 / (1 - rate)`, of one step."""

    def __init__(self, seed, rate):
        self.seed, self.rate, self.step = seed, rate, 0

    def key(self, place):
        purpose = f"dropout {place}".encode()
        return hashlib.sha256(struct.pack("<QQ", self.seed, len(purpose)) + purpose + struct.pack("<Q", self.step)).digest()

    def factors(self, words):
        return np.where(words < int(self.rate * 2**32), 0.0, 1.0 / (1.0 - self.rate))

    def of_hidden(self, place, shape):
        count, key = int(np.prod(shape)), self.key(place)
        pieces = [chacha8(key, n, min(PIECE, count - n * PIECE)) for n in range(-(-count // PIECE))]
        return self.factors(np.concatenate(pieces)).reshape(shape)

    def of_probabilities(self, place, shape):
        captions, heads, queries, keys = shape
        key = self.key(place)
        words = [chacha8(key, n, queries * keys) for n in range(captions * heads)]
        return self.factors(np.stack(words)).reshape(shape)


class Dropped(nn.Module):
    """Stands in a model where `nn.Dropout` stood. The decoder of this program leaves out the last token of a caption, which
    predicts nothing; here it is not dropped from (and, under the causal mask, nothing sees it)."""

    def __init__(self, masks, place):
        super().__init__()
        self.masks, self.place = masks, place

    def forward(self, xs):
        if not self.training:
            return xs
        factors = torch.ones(xs.shape, dtype=xs.dtype)
        if xs.dim() == 3:
            shape = (xs.shape[0], xs.shape[1] - 1, xs.shape[2])
            factors[:, :-1] = torch.from_numpy(self.masks.of_hidden(self.place, shape))
        elif self.place.startswith("vision_model."):
            factors[:] = torch.from_numpy(self.masks.of_probabilities(self.place, tuple(xs.shape)))
        else:
            captions, heads, queries, keys = xs.shape
            keys -= self.place.endswith(".attention.self")
            drawn = self.masks.of_probabilities(self.place, (captions, heads, queries - 1, keys))
            factors[:, :, :-1, :keys] = torch.from_numpy(drawn)
        return xs * factors


def drop(model, masks, unfrozen_vision_layers):
    """Puts the masks in the place of every `nn.Dropout`; vision layers that do not train drop nothing."""
    frozen = len(model.vision_model.encoder.layers) - unfrozen_vision_layers
    for name, module in list(model.named_modules()):
        if not isinstance(module, nn.Dropout):
            continue
        parent, child = name.rsplit(".", 1)
        layer = parent.removeprefix("vision_model.encoder.layers.").split(".")[0]
        stands = not parent.startswith("vision_model.") or int(layer) >= frozen
        setattr(model.get_submodule(parent), child, Dropped(masks, parent) if stands else nn.Identity())
