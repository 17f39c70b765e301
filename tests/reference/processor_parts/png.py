"""PNG files of every colour type and depth, with the chunks and orders that Pillow reads but does not write."""

import struct
import zlib

import numpy as np

DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def drawn_png(random):
    color = (0, 2, 3, 4, 6)[random.integers(5)]
    depth = DEPTHS[color][random.integers(len(DEPTHS[color]))]
    channels = CHANNELS[color]
    width, height = (int(n) for n in random.integers(1, 50, 2))
    largest = (1 << depth) - 1
    values = random.integers(0, largest + 1, (height, width, channels))
    if depth == 16 and random.random() < 0.5:
        values[: height // 2 + 1] %= 300  # Where clipping and scaling differ.
    extra, note = [], f"colour {color}, {depth} bits"
    if color == 3:
        entries = largest + 1 if random.random() < 0.7 else int(random.integers(1, largest + 2))
        grey = random.random() < 0.2
        palette = np.repeat(random.integers(0, 256, (entries, 1)), 3, 1) if grey else random.integers(0, 256, (entries, 3))
        if random.random() < 0.85:  # Otherwise some indices lie beyond the palette.
            values %= entries
        extra.append((b"PLTE", palette.astype(np.uint8).tobytes()))
        if random.random() < 0.5:
            alphas = random.integers(0, 256, int(random.integers(1, entries + 1)))
            alphas = np.where(random.random(alphas.shape) < 0.5, 255 * (alphas > 99), alphas) if random.random() < 0.5 else alphas
            extra.append((b"tRNS", alphas.astype(np.uint8).tobytes()))
            note += ", tRNS"
    elif color in (0, 2) and random.random() < 0.4:
        extra.append((b"tRNS", values[0, 0].astype(">u2").tobytes()))
        note += ", tRNS"
    before = [chunk for chunk in ancillary(random, color, depth) if random.random() < 0.25]
    interlaced = random.random() < 0.4
    note += ", interlaced" * interlaced + "".join(f", {kind.decode()}" for kind, _ in before)
    return note, png(width, height, depth, color, packed(random, values, depth, interlaced), before + extra, interlaced, random)


def ancillary(random, color, depth):
    """Chunks that say how colours are meant, none of which Pillow applies."""
    yield b"gAMA", struct.pack(">I", int(random.choice([45455, 100000, 22222])))
    yield b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    yield b"sRGB", b"\0"
    yield b"iCCP", b"a profile\0\0" + zlib.compress(bytes(random.integers(0, 256, 200).astype(np.uint8)))
    yield b"sBIT", bytes([min(5, depth)] * (3 if color == 3 else CHANNELS[color]))
    yield b"pHYs", struct.pack(">IIB", 2835, 2835, 1)
    yield b"tEXt", b"Comment\0drawn at random"


def packed(random, values, depth, interlaced):
    """The rows with their filters, in one pass or seven."""
    passes = PASSES if interlaced else ((0, 0, 1, 1),)
    return b"".join(rows(random, values[y::down, x::across], depth) for x, y, across, down in passes)


def rows(random, values, depth):
    if values.size == 0:
        return b""
    channels = values.shape[2]
    flat = values.reshape(len(values), -1)
    if depth == 16:
        lines = flat.astype(">u2").view(np.uint8)
    elif depth == 8:
        lines = flat.astype(np.uint8)
    else:
        bits = (flat[..., None] >> np.arange(depth - 1, -1, -1) & 1).reshape(len(flat), -1)
        lines = np.packbits(bits.astype(np.uint8), axis=1)
    step = max(1, channels * depth // 8)
    above, result = np.zeros(lines.shape[1], np.int64), []
    for line in lines.astype(np.int64):
        kind = int(random.integers(5))
        left = np.concatenate([np.zeros(step, np.int64), line])[: len(line)]
        corner = np.concatenate([np.zeros(step, np.int64), above])[: len(line)]
        predicted = [0 * line, left, above, (left + above) // 2, paeth(left, above, corner)][kind]
        result.append(bytes([kind]) + ((line - predicted) % 256).astype(np.uint8).tobytes())
        above = line
    return b"".join(result)


def paeth(left, above, corner):
    guess = left + above - corner
    distances = np.abs(np.stack([guess - left, guess - above, guess - corner]))
    return np.choose(np.argmin(distances, axis=0), [left, above, corner])


def png(width, height, bits, color, data, chunks=(), interlaced=False, random=None):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    compressed = zlib.compress(data, 9)
    cut = int(random.integers(len(compressed))) if random is not None else 0
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlaced)
    body = [(b"IHDR", header), *chunks, (b"IDAT", compressed[:cut]), (b"IDAT", compressed[cut:]), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in body)
