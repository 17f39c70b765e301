"""GIF files whose first frame may lie anywhere on the canvas, with palettes of its own or the file's."""

import struct

import numpy as np


def drawn_gif(random):
    width, height = (int(n) for n in random.integers(1, 40, 2))
    frame = (0, 0, width, height)
    note = "whole canvas"
    if random.random() < 0.5:
        left, top = int(random.integers(width)), int(random.integers(height))
        frame = (left, top, int(random.integers(1, width - left + 1)), int(random.integers(1, height - top + 1)))
        note = "part of the canvas"
    bits, has_global, has_local = int(random.integers(1, 9)), random.random() < 0.7, random.random() < 0.4
    has_local |= not has_global
    local_bits = int(random.integers(1, 9)) if has_local else bits
    used = 1 << local_bits
    background = int(random.integers(1 << bits)) if random.random() < 0.5 else 0
    packed = (0x80 | bits - 1 if has_global else 0) | 0x70
    data = b"GIF89a" + struct.pack("<HHBBB", width, height, packed, background, 0)
    data += palette(random, bits) if has_global else b""
    if random.random() < 0.4:
        transparent = int(random.integers(used))
        data += b"\x21\xf9\x04" + struct.pack("<BHBB", 1 | int(random.integers(4)) << 2, 5, transparent, 0)
        note += ", transparent"
    interlaced = random.random() < 0.3
    data += image(random, frame, local_bits, has_local, interlaced)
    note += ", local palette" * has_local + ", interlaced" * interlaced
    if random.random() < 0.3:
        data += image(random, (0, 0, width, height), local_bits, True, False)
        note += ", animated"
    return note, data + b";"


def palette(random, bits):
    colors = random.integers(0, 256, (1 << bits, 3))
    match int(random.integers(4)):
        case 0:
            colors = np.repeat(colors[:, :1], 3, 1)
        case 1:
            colors = np.repeat(np.arange(1 << bits)[:, None], 3, 1)  # What Pillow reads as grey.
    return colors.astype(np.uint8).tobytes()


def image(random, frame, bits, has_local, interlaced):
    left, top, width, height = frame
    # Sometimes there are indices beyond the palette.
    code_bits = max(2, bits) if random.random() < 0.85 else int(random.integers(max(2, bits), 9))
    indices = random.integers(0, 1 << (code_bits if code_bits > bits > 1 else bits), (height, width))
    if interlaced:
        order = [*range(0, height, 8), *range(4, height, 8), *range(2, height, 4), *range(1, height, 2)]
        indices = indices[order]
    flags = (0x80 | bits - 1 if has_local else 0) | (0x40 if interlaced else 0)
    header = b"," + struct.pack("<HHHHB", left, top, width, height, flags)
    return header + (palette(random, bits) if has_local else b"") + compressed(indices.ravel(), code_bits)


def compressed(indices, bits):
    """LZW with codes of one width: the table is cleared before it would grow."""
    clear, codes, since = 1 << bits, [], 0
    for index in indices:
        if since == 0:
            codes.append(clear)
        codes.append(int(index))
        since = (since + 1) % max(1, (1 << bits) - 2)
    codes.append(clear + 1)
    flat = "".join(format(code, f"0{bits + 1}b")[::-1] for code in codes)
    flat += "0" * (-len(flat) % 8)
    stream = bytes(int(flat[at : at + 8][::-1], 2) for at in range(0, len(flat), 8))
    blocks = [stream[at : at + 255] for at in range(0, len(stream), 255)]
    return bytes([bits]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
