"""BMP files of every depth, header and compression that cameras, scanners and old programs wrote."""

import struct

import numpy as np

MASKS = {
    16: [(0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0x8000)],
    32: [(0xFF0000, 0xFF00, 0xFF, 0), (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
         (0xFF000000, 0xFF0000, 0xFF00, 0xFF), (0xFF000000, 0xFF0000, 0xFF00, 0)],
}


def drawn_bmp(random):
    bits = (1, 4, 8, 16, 24, 32)[random.integers(6)]
    width, height = (int(n) for n in random.integers(1, 40, 2))
    header_size = (12, 40, 40, 56, 108, 124)[random.integers(6)]
    if header_size == 12:
        bits = (1, 4, 8, 24)[random.integers(4)]
    top_down = header_size != 12 and random.random() < 0.25
    compression, masks, run_lengths, note = 0, b"", None, ""
    if header_size != 12 and bits in MASKS and random.random() < 0.6:
        choice = MASKS[bits][random.integers(len(MASKS[bits]))]
        compression = 3
        masks = struct.pack("<4I", *choice)
        note = f", masks {choice[0]:x} {choice[3]:x}"
        if header_size == 40:
            masks = masks[:12]
    elif header_size != 12 and bits in (4, 8) and not top_down and random.random() < 0.5:
        compression, run_lengths, note = (1 if bits == 8 else 2), True, ", run lengths"
    colors = 0
    table = b""
    if bits <= 8:
        colors = (1 << bits) if random.random() < 0.6 else int(random.integers(1, (1 << bits) + 1))
        if header_size == 12:
            colors = 1 << bits
        table = color_table(random, colors, 3 if header_size == 12 else 4)
    # Sometimes there are indices beyond the palette (but not of two colours, which Pillow reads as bits).
    used = 1 << bits if colors > 2 and random.random() < 0.15 else colors
    data = (run_length_rows if run_lengths else plain_rows)(random, width, height, bits, used)
    if header_size == 12:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        declared = 0 if colors == 1 << bits and random.random() < 0.5 else colors
        header = struct.pack("<IiiHHIIiiII", header_size, width, -height if top_down else height, 1, bits, compression, len(data), 2835,
                             2835, declared, 0)
        inside = masks.ljust(16, b"\0") if header_size >= 56 else b""
        header = (header + inside).ljust(header_size, b"\0")
        if header_size == 40:
            header += masks
    note = f"{bits} bits, header of {header_size}{note}" + ", top down" * top_down
    offset = 14 + len(header) + len(table)
    return note, struct.pack("<2sIHHI", b"BM", offset + len(data), 0, 0, offset) + header + table + data


def color_table(random, colors, size):
    table = random.integers(0, 256, (colors, size))
    match int(random.integers(5)):
        case 0:
            table[:, :3] = table[:, :1]
        case 1:
            table[:, :3] = np.arange(colors)[:, None] * 255 // max(1, colors - 1)
    return table.astype(np.uint8).tobytes()


def plain_rows(random, width, height, bits, colors):
    result = []
    for _ in range(height):
        if bits <= 8:
            values = random.integers(0, colors, width)
            spread = (values[:, None] >> np.arange(bits - 1, -1, -1) & 1).ravel()
            row = np.packbits(spread.astype(np.uint8)).tobytes()
        else:
            row = random.integers(0, 256, width * bits // 8).astype(np.uint8).tobytes()
        result.append(row + b"\0" * (-len(row) % 4))
    return b"".join(result)


def run_length_rows(random, width, height, bits, colors):
    """Runs, literal stretches and, sometimes, jumps over pixels that nothing sets."""
    data, jumps = b"", random.random() < 0.3
    for _ in range(height):
        left = width
        while left > 0:
            length = int(random.integers(1, min(left, 40) + 1))
            choice = random.random()
            if choice < 0.5 or length < 3:
                value = int(random.integers(colors))
                value = value if bits == 8 else value << 4 | int(random.integers(colors))
                data += bytes([length, value])
            elif jumps and choice < 0.6:
                data += bytes([0, 2, length, 0])
            else:
                values = random.integers(0, colors, length + length % 2)
                literal = values[:length] if bits == 8 else values[::2] << 4 | values[1::2]
                literal = literal.astype(np.uint8).tobytes()
                data += bytes([0, length]) + literal + b"\0" * (len(literal) % 2)
            left -= length
        data += b"\0\0"
    return data + b"\0\1"
