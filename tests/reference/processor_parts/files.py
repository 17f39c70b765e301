"""Small picture files of every kind the program reads, drawn at random, with the pixels that Pillow makes of them."""

import base64
import io
import warnings

import numpy as np
from PIL import Image

from . import bmp, gif, jpeg, png
from .drawn import short_sha256


def file_cases(random, count):
    """`count` files of each of the families."""
    families = {"png": png.drawn_png, "gif": gif.drawn_gif, "bmp": bmp.drawn_bmp, "webp": drawn_webp, "pillow": drawn_by_pillow,
                "jpeg": jpeg.drawn_jpeg}
    return [file_case(name, draw, random) for name, draw in families.items() for _ in range(count)]


def file_case(family, draw, random):
    note, data = draw(random)
    case = {"kind": f"{family} {note}", "file": base64.b64encode(data).decode()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pixels = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
        except (OSError, SyntaxError, ValueError, IndexError) as error:
            return case | {"refused": type(error).__name__}
    height, width, _ = pixels.shape
    return case | {"size": [width, height], "rgb": short_sha256(pixels)}


def saved(image, kind, **options):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.save(buffer, kind, **options)
    return buffer.getvalue()


def samples(random, channels, largest=64):
    """Some pixels: noise, slopes and even areas, so that both prediction and run lengths have something to do."""
    width, height = (int(n) for n in random.integers(1, largest, 2))
    y, x = np.mgrid[0:height, 0:width]
    noise = random.integers(0, 256, (height, width, channels))
    slope = x[..., None] * random.integers(0, 9) + y[..., None] * random.integers(0, 9) + np.arange(channels) * 40
    even = np.broadcast_to(random.integers(0, 256, channels), slope.shape)
    area = (x // 7 + y // 5 + random.integers(3)) % 3
    return np.choose(area[..., None], [noise, slope % 256, even]).astype(np.uint8)


def drawn_webp(random):
    channels = int(random.integers(3, 5))
    pictures = [Image.fromarray(samples(random, channels)) for _ in range(1 + 2 * int(random.random() < 0.25))]
    options = {"lossless": bool(random.random() < 0.4), "quality": int(random.integers(0, 101)), "method": int(random.integers(0, 7)),
               "exact": bool(random.random() < 0.5)}
    if options["lossless"]:
        options["quality"] = int(random.integers(0, 101))
    if len(pictures) > 1:
        pictures = [picture.resize(pictures[0].size) for picture in pictures]
        options |= {"save_all": True, "append_images": pictures[1:], "duration": 40, "allow_mixed": True}
        options["background"] = tuple(int(n) for n in random.integers(0, 256, 4))
    note = f"{channels} channels, {len(pictures)} frames, {'lossless' if options['lossless'] else 'lossy'}"
    return note, saved(pictures[0], "WEBP", **options)


def drawn_by_pillow(random):
    """What a script leaves that saves with Pillow: every mode in every format that takes it."""
    mode = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"][random.integers(7)]
    kind = {"1": ["PNG", "BMP", "GIF"], "L": ["PNG", "BMP", "GIF"], "P": ["PNG", "BMP", "GIF"], "RGB": ["PNG", "BMP", "GIF", "WEBP"],
            "RGBA": ["PNG", "BMP", "GIF"], "LA": ["PNG", "GIF"], "I;16": ["PNG"]}[mode]
    kind = kind[random.integers(len(kind))]
    options = {"optimize": True} if kind in ("PNG", "GIF") and random.random() < 0.3 else {}
    if mode == "I;16":
        shape = tuple(int(n) for n in random.integers(1, 40, 2))
        image = Image.fromarray(random.integers(0, [300, 65536][random.integers(2)], shape).astype(np.uint16))
    else:
        image = Image.fromarray(samples(random, 4), "RGBA").convert("RGB" if mode == "P" else mode)
        if mode == "P":
            image = image.quantize(int(random.integers(2, 257)))
            if kind in ("PNG", "GIF") and random.random() < 0.5:
                options["transparency"] = int(random.integers(2))
    if kind == "WEBP":
        options["lossless"] = True
    if kind == "GIF" and mode in ("RGB", "L", "P") and random.random() < 0.3:
        options |= {"save_all": True, "append_images": [image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)], "duration": 30}
    return f"{mode} {kind}", saved(image, kind, **options)
