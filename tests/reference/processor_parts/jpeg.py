"""JPEG files of every sampling, colour space and scan order that Pillow decodes."""

import numpy as np
from PIL import Image

# Sampling factors of the first component that hold the same blocks in the same order, with the picture's shape changed.
RESHAPED = {"4:4:0": (1, 0x21, 0x12), "4:1:1": (2, 0x22, 0x41), "1:4 vertically": (2, 0x22, 0x14)}


def drawn_jpeg(random):
    from .files import samples, saved  # Here, because files.py imports this module.

    kind = ("colour", "colour", "colour", "grey", "CMYK", "RGB", "reshaped")[random.integers(7)]
    picture = Image.fromarray(photo(random) if random.random() < 0.6 else samples(random, 3, 100))
    quality, sampling = int(random.integers(1, 101)), int(random.integers(3))
    options = {"quality": quality, "progressive": bool(random.random() < 0.35), "optimize": bool(random.random() < 0.3)}
    if random.random() < 0.3:
        options["restart_marker_blocks" if random.random() < 0.5 else "restart_marker_rows"] = int(random.integers(1, 9))
    note = f"{kind}, progressive" if options["progressive"] else kind
    match kind:
        case "grey":
            return note, saved(picture.convert("L"), "JPEG", **options)
        case "CMYK":
            data = saved(Image.fromarray(samples(random, 4), "CMYK"), "JPEG", **options)
            match int(random.integers(3)):
                case 0:
                    return f"{note} as YCCK", adobe_transform(data, 2)
                case 1:
                    return f"{note} without Adobe's marker", without_adobe(data)
            return note, data
        case "RGB":
            data = saved(picture, "JPEG", keep_rgb=True, **options)
            return note, data
        case "reshaped":
            name = list(RESHAPED)[random.integers(len(RESHAPED))]
            return f"{note} {name}", reshaped(random, name, saved)
    return f"{note} 4:{'4:4 2:2 2:0'.split()[sampling]}", saved(picture, "JPEG", subsampling=sampling, **options)


def photo(random):
    """Soft light, hard edges and a little noise, as in a photograph."""
    width, height = (int(n) for n in random.integers(1, 150, 2))
    y, x = np.mgrid[0:height, 0:width]
    waves = random.uniform(0.01, 0.3, (3, 2))
    light = 127 + 120 * np.sin(x[..., None] * waves[:, 0] + random.uniform(0, 6, 3)) * np.cos(y[..., None] * waves[:, 1])
    inside = (x - width * random.random()) ** 2 + (y - height * random.random()) ** 2 < (min(width, height) / 3) ** 2
    light[inside] = random.integers(0, 256, 3)
    return np.clip(light + random.normal(0, random.uniform(0, 6), light.shape), 0, 255).astype(np.uint8)


def reshaped(random, name, saved):
    """A file written as 4:2:2 or 4:2:0 whose header then says another sampling and shape for the same blocks."""
    subsampling, old, new = RESHAPED[name]
    across, down = (int(n) for n in random.integers(1, 7, 2))
    width, height = across * 16, down * (8 if subsampling == 1 else 16)
    pixels = random.integers(0, 256, (height // 8, width // 8, 3)).astype(np.uint8)
    picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    data = bytearray(saved(picture, "JPEG", quality=int(random.integers(20, 100)), subsampling=subsampling))
    frame = data.index(b"\xff\xc0")
    at = {"4:4:0": (width // 2, height * 2), "4:1:1": (width * 2, height // 2), "1:4 vertically": (width // 2, height * 2)}[name]
    # Some pixels fewer, within the last blocks: what lies beyond the edge must not be seen.
    shape = (at[0] - int(random.integers(8)), at[1] - int(random.integers(8)))
    data[frame + 5 : frame + 9] = shape[1].to_bytes(2, "big") + shape[0].to_bytes(2, "big")
    assert data[frame + 11] == old
    data[frame + 11] = new
    return bytes(data)


def adobe_transform(data, transform):
    at = data.index(b"Adobe") + 11
    return data[:at] + bytes([transform]) + data[at + 1 :]


def without_adobe(data):
    at = data.index(b"Adobe") - 4
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
