"""Makes the fixtures of `src/data`: what Pillow and transformers say of pictures, captions and model folders.

    pip install -r tests/reference/requirements.txt
    python tests/reference/processor.py [--seed N] [--out FOLDER] [--hub FOLDER] [--resizes N] [--files N] [--settings N] [--folders N]

Writes `tests/fixtures/processor/`, or another folder that the tests read where SWEEP_PROCESSOR_FIXTURES names it. `--hub`
is a folder with a hub copy of blip-image-captioning-base, of which only the tokenizer is read; without it what needs it is
left as it is. All is drawn from the seed, so that a second run changes nothing.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import struct
import zlib
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import PIL
import transformers
from PIL import Image
from transformers import AutoTokenizer
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from processor_parts.drawn import resize_cases
from processor_parts.files import file_cases
from processor_parts.settings import settings_cases as folder_settings_cases
from processor_parts.tokenizers import folder_cases, tokenizer_cases

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "processor"
SIDE = 24


def main():
    assert (PIL.__version__, transformers.__version__) == ("13.0.0", "5.23.0"), "other versions than pinned"
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--out", type=Path, default=OUT)
    arguments.add_argument("--hub", type=Path)
    for name, default in {"resizes": 600, "files": 80, "settings": 40, "folders": 40, "captions": 10_000}.items():
        arguments.add_argument(f"--{name}", type=int, default=default)
    given = arguments.parse_args()
    write_drawn(given)
    if given.out == OUT:
        write_hand_made(given.hub)


def write_drawn(given):
    """What is drawn from a seed. Every file has a generator of its own, so that one can grow and the others stay."""
    given.out.mkdir(parents=True, exist_ok=True)

    def random(purpose):
        return np.random.default_rng([given.seed, *purpose.encode()])

    write_gz(given.out / "resizes.json.gz", resize_cases(random("resizes"), given.resizes, processed))
    write_gz(given.out / "files.json.gz", file_cases(random("files"), given.files))
    write_gz(given.out / "settings.json.gz", folder_settings_cases(random("settings"), given.settings))
    write_gz(given.out / "tokenizers.json.gz", folder_cases(random("folders"), given.folders, 60))
    if given.hub:
        tokenizer = AutoTokenizer.from_pretrained(given.hub)
        write_gz(given.out / "captions_blip_base.json.gz", tokenizer_cases(random("captions"), tokenizer, given.captions, 10_000))


def write_hand_made(hub):
    draw_pictures()
    lossless = [picture_case(path) for path in sorted(OUT.glob("exact_*"))]
    lossy = [picture_case(path, with_pixels=True) for path in sorted(OUT.glob("lossy_*"))]
    write_json(OUT / "pictures.json", {"side": SIDE, "lossless": lossless, "lossy": lossy, "settings": settings_cases()})
    small = write_small_tokenizer(OUT / "tokenizer")
    write_json(OUT / "tokens_small.json", token_cases(small))
    if hub:
        write_json(OUT / "tokens_blip_base.json", token_cases(hub))


def write_gz(path, value):
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=True) + "\n")


# Pictures -------------------------------------------------------------------------------------------------------------


def picture(seed, width, height, channels=3):
    """Shapes with hard edges and noise: what shows a wrong rounding."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    smooth = 127 + 120 * np.sin(x[..., None] / 3.0 + np.arange(channels)) * np.cos(y[..., None] / 4.0)
    noise = random.integers(0, 256, (height, width, channels))
    hard = ((x // 5 + y // 3) % 2 * 255)[..., None]
    kind = ((x + 2 * y) // 11 % 3)[..., None]
    return np.where(kind == 0, smooth, np.where(kind == 1, noise, hard)).astype(np.uint8)


def png(name, width, height, bits, color_type, rows, extra=b""):
    """A PNG of a kind that Pillow reads but does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    data = b"".join(b"\0" + row for row in rows)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")
    (OUT / name).write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def animated_webp(frame, canvas, offset, **options):
    """An animation whose frames cover a part of the canvas and are to be blended; Pillow writes none."""

    def chunk(kind, data):
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    def u24(*numbers):
        return b"".join(struct.pack("<I", number)[:3] for number in numbers)

    def still(image):
        file = io.BytesIO()
        image.save(file, "WEBP", **options)
        data, chunks, at = file.getvalue(), b"", 12
        while at < len(data):
            size = struct.unpack("<I", data[at + 4 : at + 8])[0]
            if data[at : at + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
                chunks += data[at : at + 8 + size + size % 2]
            at += 8 + size + size % 2
        return chunks

    def framed(image):
        place = u24(offset[0] // 2, offset[1] // 2, image.width - 1, image.height - 1, 40) + b"\0"
        return chunk(b"ANMF", place + still(image))

    head = chunk(b"VP8X", b"\x12\0\0\0" + u24(canvas[0] - 1, canvas[1] - 1))
    frames = framed(frame) + framed(frame.transpose(Image.Transpose.ROTATE_180))
    body = b"WEBP" + head + chunk(b"ANIM", b"\x20\x40\x60\xff\0\0") + frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def draw_pictures():
    shapes = {
        "down": (97, 61), "up": (7, 5), "same": (SIDE, SIDE), "same_width": (SIDE, 57), "same_height": (11, SIDE),
        "one_wide": (1, 30), "one_high": (43, 1), "one_pixel": (1, 1), "far_down": (170, 60), "up_and_down": (9, 80),
        "down_tall": (40, 90), "down_twice": (34, 44), "down_and_up": (50, 13),
    }
    for seed, (name, (width, height)) in enumerate(shapes.items()):
        Image.fromarray(picture(seed, width, height)).save(OUT / f"exact_{name}.png")

    grey = picture(20, 33, 21, 1)[..., 0]
    colour = Image.fromarray(picture(21, 33, 21))
    Image.fromarray(grey).save(OUT / "exact_grey.png")
    Image.fromarray(grey).convert("1").save(OUT / "exact_black_and_white.png")
    Image.fromarray(picture(22, 33, 21, 2), "LA").save(OUT / "exact_grey_alpha.png")
    Image.fromarray(picture(23, 33, 21, 4), "RGBA").save(OUT / "exact_alpha.png")
    colour.quantize(40).save(OUT / "exact_palette.png")
    colour.quantize(40).save(OUT / "exact_palette_alpha.png", transparency=bytes(range(0, 240, 6)))
    colour.quantize(9).save(OUT / "exact_palette_4_bit.png", bits=4)
    colour.save(OUT / "exact_transparent_colour.png", transparency=(0, 0, 0))
    colour.save(OUT / "exact_bitmap.bmp")
    colour.quantize(40).save(OUT / "exact_gif.gif")
    colour.quantize(40).save(
        OUT / "exact_animation.gif", save_all=True, append_images=[colour.rotate(90).quantize(40)], duration=50
    )
    colour.save(OUT / "exact_webp.webp", lossless=True)
    for name, lossless in [("animation_lossless", True), ("animation_lossy", False)]:
        small = Image.fromarray(picture(26, 19, 13, 4), "RGBA")
        (OUT / f"{name}.webp").write_bytes(animated_webp(small, (33, 21), (6, 4), lossless=lossless, exact=True))
        Image.open(OUT / f"{name}.webp").convert("RGB").save(OUT / f"pillow_{name}.png")

    wide = np.random.default_rng(24).integers(0, 1 << 16, (9, 13, 4)).astype(">u2")
    wide[:3] //= 200  # Some of the 16-bit greys must lie below 256, where clipping and scaling differ.
    png("exact_grey_16.png", 13, 9, 16, 0, [row[:, 0].tobytes() for row in wide])
    png("exact_grey_16_transparent.png", 13, 9, 16, 0, [row[:, 0].tobytes() for row in wide],
        struct.pack(">I", 2) + b"tRNS\0\x07" + struct.pack(">I", zlib.crc32(b"tRNS\0\x07")))
    png("exact_grey_alpha_16.png", 13, 9, 16, 4, [row[:, :2].tobytes() for row in wide])
    png("exact_colour_16.png", 13, 9, 16, 2, [row[:, :3].tobytes() for row in wide])
    png("exact_alpha_16.png", 13, 9, 16, 6, [row.tobytes() for row in wide])
    packed = np.random.default_rng(25).integers(0, 256, (9, 4)).astype(np.uint8)
    png("exact_grey_2_bit.png", 13, 9, 2, 0, [row.tobytes() for row in packed])

    y, x = np.mgrid[0:40, 0:56]
    photo = np.stack([x * 4, y * 6, 255 - x * 2 - y * 3], -1).astype(np.uint8)
    photo[10:30, 14:40] = (200, 30, 60)
    photo = Image.fromarray(photo)
    photo.save(OUT / "lossy_444.jpg", quality=90, subsampling=0)
    photo.save(OUT / "lossy_420.jpg", quality=90, subsampling=2)
    photo.save(OUT / "lossy_progressive.jpg", quality=90, subsampling=2, progressive=True)
    photo.convert("L").save(OUT / "lossy_grey.jpg", quality=90)
    photo.convert("CMYK").save(OUT / "lossy_cmyk.jpg", quality=90)
    photo.save(OUT / "lossy_webp.webp", quality=90)


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def processed(image, **settings):
    """The values for an RGB picture, as little-endian f32, channels first."""
    processor = BlipImageProcessorPil(**settings)
    values = np.asarray(processor(image, return_tensors="np")["pixel_values"][0])
    return values.astype("<f4")


def picture_case(path, with_pixels=False):
    # The copy drops the note of a transparent colour that `convert` leaves behind: transformers 5 would paint it white,
    # transformers 4 and a caller that converts to RGB do not.
    image = Image.fromarray(np.array(Image.open(path).convert("RGB")))
    case = {"file": path.name, "width": image.width, "height": image.height}
    if with_pixels:
        reference = path.with_name(f"pillow_{path.stem}.png")
        image.save(reference)
        return case | {"pixels": reference.name}
    resized = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    values = processed(image, size={"height": SIDE, "width": SIDE})
    return case | {"rgb": sha256(np.array(image)), "resized": sha256(np.array(resized)), "values": sha256(values)}


def settings_cases():
    """One picture under other settings than the usual ones."""
    image = Image.open(OUT / "exact_down.png").convert("RGB")
    cases = [
        {"size": {"height": 17, "width": 40}},
        {"size": 16, "do_normalize": False},
        {"size": 16, "do_rescale": False},
        {"size": 16, "rescale_factor": 0.0123},
        {"size": 16, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.1, 0.7, 1.5]},
        {"do_resize": False},
        {},
    ]
    return [{"settings": case, "values": sha256(processed(image, **case))} for case in cases]


# Captions -------------------------------------------------------------------------------------------------------------

CAPTIONS = [
    "The upper clothing has long sleeves, cotton fabric and solid color patterns. The neckline of it is v-shape.",
    "the woman's t-shirt isn't three-point; she doesn't say 'no' -- it's 3/4!",
    "A CAF\u00c9 na\u00efve r\u00f4le \u00c5ngstr\u00f6m \u0130stanbul stra\u00dfe",
    "\u4e2d\u6587 text \u65e5\u672c\u8a9e and \ud55c\uad6d\uc5b4",
    "emoji \U0001f600 and \U0001f469\u200d\U0001f469\u200d\U0001f467 family \u2603",
    "", " ", "\t\n", "a", ".", "...", "'", "\u201cquoted\u201d \u2018text\u2019 \u2014 dash\u2026",
    "control\u0000 \u0007 \ufffd zero\u200bwidth \u00a0 space \u2028 line",
    "[CLS] inside [SEP] and [PAD] [MASK] [UNK] [DEC] [ENC] <s>",
    "do not does not we 've they 're i 'm he 's can n't ' x ' y",
    "x" * 99, "x" * 100, "x" * 101, "word " * 90, "a" * 3000,
    "100% $20.50 #1 @home a_b c^d ~e `f` |g| \\h/ {i} <j> k=l+m", "\u0065\u0301 decomposed \u00e9 composed",
    "\U0001d400\U0001d401 bold \ufb01 ligature \u00bd half \u00b2 squared \u2122",
]


def token_cases(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    cases = []
    for caption in CAPTIONS:
        for max_length in (60, 12, 2) if len(caption) < 200 else (60,):
            ids = tokenizer(caption, truncation=True, max_length=max_length)["input_ids"]
            said = [30522, *ids[1:], tokenizer.sep_token_id, tokenizer.pad_token_id, 30523, 4000000000]
            decoded = tokenizer.decode(said, skip_special_tokens=True)
            cases.append({"caption": caption, "max_length": max_length, "ids": ids, "said": said, "decoded": decoded})
    return cases


def write_small_tokenizer(folder):
    """BERT's tokenizer with a vocabulary of two hundred pieces, saved the way a training script leaves it."""
    characters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = "the upper clothing has long sleeve cotton fabric and solid color pattern neck line of it is woman shirt not do"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"!#$%&'()*+,-./:;=?@[]^_`{|}~"]
    vocabulary += [*characters, *("##" + c for c in characters), *words.split(), "##s", "##ing", "##ed", "\u4e2d"]
    ids = {piece: index for index, piece in enumerate(dict.fromkeys(vocabulary))}
    special = [
        {"id": ids[name], "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for name in vocabulary[:5]
    ]
    tokenizer = {
        "version": "1.0",
        # What a file saved after a call with truncation and padding carries, and a loader must not obey.
        "truncation": {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 7}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", ids["[SEP]"]], "cls": ["[CLS]", ids["[CLS]"]]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": ids},
    }
    folder.mkdir(exist_ok=True)
    write_json(folder / "tokenizer.json", tokenizer)
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512, "pad_token": "[PAD]",
              "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    write_json(folder / "tokenizer_config.json", config)
    return folder


if __name__ == "__main__":
    main()
