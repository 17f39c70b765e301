"""Pictures that Python and the Rust tests draw alike, so that fixtures need not hold their pixels, and resizes of them."""

import hashlib

import numpy as np
from PIL import Image

KINDS = ("noise", "extremes", "blocks", "slopes")


def mixed(numbers):
    """A hash of 32-bit numbers (murmur3's last step); `drawn` in `src/data/processor/reference_tests.rs` has the same."""
    numbers = numbers.astype(np.uint32)
    numbers ^= numbers >> np.uint32(16)
    numbers *= np.uint32(0x85EBCA6B)
    numbers ^= numbers >> np.uint32(13)
    numbers *= np.uint32(0xC2B2AE35)
    return numbers ^ numbers >> np.uint32(16)


def drawn(kind, seed, width, height):
    """A picture of `height` rows of `width` RGB pixels."""
    y, x, channel = np.ogrid[0:height, 0:width, 0:3]
    y, x, channel = (axis.astype(np.uint32) for axis in (y, x, channel))
    seed = np.uint32(seed)
    with np.errstate(over="ignore"):
        if kind == "slopes":
            return (x * (seed % np.uint32(7)) + y * (seed % np.uint32(5)) + channel * np.uint32(85)).astype(np.uint8)
        if kind == "blocks":
            x, y = x >> np.uint32(3), y >> np.uint32(3)
        values = mixed(x + y * np.uint32(65537) + channel * np.uint32(0x10000000) + seed * np.uint32(0x9E3779B9))
    values &= np.uint32(255)
    return (np.where(values < 128, 0, 255) if kind == "extremes" else values).astype(np.uint8)


def resize_cases(random, count, processed):
    return [resize_case(random, processed) for _ in range(count)]


def resize_case(random, processed):
    width, height, to_width, to_height = sizes(random)
    kind, seed = KINDS[random.integers(len(KINDS))], int(random.integers(1 << 31))
    image = Image.fromarray(drawn(kind, seed, width, height))
    resized = np.array(image.resize((to_width, to_height), Image.Resampling.BICUBIC))
    values = processed(image, size={"height": to_height, "width": to_width})
    return {"kind": kind, "seed": seed, "from": [width, height], "to": [to_width, to_height],
            "resized": short_sha256(resized), "values": short_sha256(values)}


def sizes(random):
    """Width and height before and after, with the odd cases more often than chance has them."""

    def side(low, high):
        return int(np.exp(random.uniform(np.log(low), np.log(high + 1))))

    width, height = side(1, 2000), side(1, 2000)
    to_width = side(16, 512)
    to_height = to_width if random.random() < 0.6 else side(16, 512)
    match int(random.integers(10)):
        case 0:
            width = 1
        case 1:
            height = 1
        case 2:
            width = to_width
        case 3:
            height = to_height
        case 4 | 5:
            # Close to where Pillow changes the order of its passes.
            width = to_width + int(random.integers(-20, 200))
            height = to_height + 2 * (width - to_width) + int(random.integers(-2, 3))
    return max(1, width), max(1, height), to_width, to_height


def short_sha256(array):
    """64 bits of the digest of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
