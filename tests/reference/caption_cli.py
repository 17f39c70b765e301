#!/usr/bin/env python3
"""Holds `sweep caption` against `generate()` on random models, as somebody would make them with transformers.

    python tests/reference/caption_cli.py target/release/sweep [--models 24] [--images 6] [--seed 0] [--keep FOLDER]

Each model folder is what `BlipForConditionalGeneration(...).save_pretrained` and `BlipProcessor.save_pretrained` write;
each image is a PNG file. Models differ in shape, in how their weights are drawn (half of them as transformers itself
does), in the type they are stored in, in the tokenizer, in whether the head is tied, and in whether the settings come
from flags or from generation_config.json. Prints a line a model; fails if token ids or texts differ although no choice
was closer than 1e-4 (see model_parts/margins.py), or if the program refuses a model.
"""
import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import torch
import transformers
from PIL import Image
from transformers import BertTokenizer, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

from generation import BASE, SETTINGS, SMALLEST_MARGIN
from model_parts.captioners import configure, draw_shapes, fill
from model_parts.margins import generate, say

STORED = [torch.float32, torch.float16, torch.bfloat16]
ACTIVATIONS = ("gelu gelu_python gelu_new gelu_fast gelu_accurate gelu_pytorch_tanh gelu_python_tanh relu relu2 relu6 silu swish "
               "mish leaky_relu").split()
HEADS = ["tied", "tied", "untied", "stored twice"]


def tokenizer_of(size, rng):
    """Special tokens among the words, not before them. [DEC] is an added token in every second one."""
    letters = [chr(97 + i) for i in range(26)]
    words = ["".join(rng.choice(letters, 2 + i % 4)) for i in range(4 * size)]
    words = [*dict.fromkeys(words)][:size - 8] + [".", ",", "##s"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    entries = words + special
    tokenizer = BertTokenizer(vocab={entries[place]: i for i, place in enumerate(rng.permutation(len(entries)))})
    if rng.random() < 0.5:
        tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    return tokenizer


def build(shape, tokenizer, head, by_transformers, rng):
    for part in ("vision_act", "text_act"):
        shape[part] = str(rng.choice(ACTIVATIONS))
    shape["vocabulary"] = len(tokenizer) + int(rng.integers(1, 4))
    start = tokenizer.convert_tokens_to_ids("[DEC]") if tokenizer.bos_token else shape["vocabulary"] - 1
    tied = dict(tie_word_embeddings=head != "untied")
    config = configure(shape, tokenizer.pad_token_id, start, tokenizer.sep_token_id, int(rng.integers(shape["vocabulary"])), **tied)
    torch.manual_seed(int(rng.integers(1 << 30)))
    model = BlipForConditionalGeneration(config).eval()
    if not by_transformers:
        fill(model, shape, rng)
    elif rng.random() < 0.7:  # as they come, all captions are alike
        with torch.no_grad():
            for parameter in model.parameters():
                parameter *= 1 if parameter.dim() == 1 else float(rng.uniform(2, 20))
    return model


def save(model, processor, folder, head, dtype):
    model.to(dtype).save_pretrained(folder)
    processor.save_pretrained(folder)
    if head == "stored twice":  # as published files do
        from safetensors.torch import load_file, save_file
        tensors = load_file(folder / "model.safetensors")
        text = "text_decoder.cls.predictions"
        tensors[f"{text}.decoder.bias"] = tensors[f"{text}.bias"].clone()
        tensors[f"{text}.decoder.weight"] = tensors["text_decoder.bert.embeddings.word_embeddings.weight"].clone()
        tensors["text_decoder.bert.embeddings.position_ids"] = torch.arange(model.config.text_config.max_position_embeddings)[None]
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def draw_images(folder, count, rng):
    paths = []
    for number in range(count):
        height, width = (int(n) for n in rng.integers(5, 80, 2))
        small = Image.fromarray(rng.integers(0, 256, (2 + number % 5, 3, 3), dtype=np.uint8))
        noise = rng.integers(-40, 40, (height, width, 3))
        values = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(int) + noise
        paths.append(folder / f"{number}.png")
        Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(paths[-1])
    return paths


def flags(settings):
    return [f"--{key.replace('_', '-')}={str(value).lower()}" for key, value in settings.items()]


def describe(settings):
    return " ".join(f"{key}={value}" for key, value in settings.items() if value != BASE[key]) or "5 beams"


def check(binary, folder, number, shape, images, rng):
    head, dtype, by_transformers = HEADS[number % 4], STORED[number % 3], number // 4 % 2 == 0
    tokenizer = tokenizer_of(int(rng.integers(30, 400)), rng)
    size = shape["image"][0]
    processor = BlipProcessor(BlipImageProcessor(size=dict(height=size, width=size)), tokenizer)
    settings = dict(SETTINGS[int(rng.integers(len(SETTINGS)))])
    settings["max_length"] = min(settings["max_length"], shape["positions"])
    model = build(shape, tokenizer, head, by_transformers, rng)
    by_file = rng.random() < 0.3
    if by_file:
        model.generation_config.update(**settings)
    save(model, processor, folder, head, dtype)
    paths = draw_images(folder, images, rng)
    command = [binary, "caption", "--model", folder, "--format", "json", *([] if by_file else flags(settings)), *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    name = f"model {number}: {head} head, {str(dtype)[6:]}, {describe(settings)}{' from file' if by_file else ''}, {shape['vision_act']}/{shape['text_act']}"
    if done.returncode != 0:
        print(f"{name}: REFUSED\n{done.stderr}")
        return 0, 0, 1
    rows = json.loads(done.stdout)
    loaded = BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    pixel_values = processor(images=[Image.open(path) for path in paths], return_tensors="pt").pixel_values
    captions, scores = say(loaded, pixel_values, settings)
    exact, _, margins = generate(loaded.double(), pixel_values.double(), settings)
    wrong, close = 0, 0
    for row, ids, truth, margin in zip(rows, captions, exact, margins):
        text = tokenizer.decode(ids, skip_special_tokens=True)
        if row["token_ids"] != ids or row["caption"] != text:
            explained = margin <= SMALLEST_MARGIN and row["token_ids"] != ids
            close, wrong = close + explained, wrong + (not explained)
            print(f"  {Path(row['image']).name}: {row['token_ids']} {row['caption']!r}\n  transformers {ids} {text!r}\n"
                  f"  in f64 {truth}; margin {margin:.1e}")
    if scores:
        error = max(abs(row["score"] - score) for row, score, ids in zip(rows, scores, captions) if row["token_ids"] == ids)
    different = len({tuple(ids) for ids in captions})
    print(f"{name}: {len(rows) - wrong - close} of {len(rows)} equal ({different} different), smallest margin {min(margins):.1e}"
          + (f", scores within {error:.1e}" if scores else ""), flush=True)
    return len(rows), close, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("--models", type=int, default=24)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="write the models here and leave them")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    shapes = draw_shapes(options.models, rng)
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or Path(temporary)
        results = [check(options.binary.resolve(), root / f"model{number}", number, shape, options.images, rng)
                   for number, shape in enumerate(shapes)]
    captions, close, wrong = (sum(column) for column in zip(*results))
    print(f"{options.models} models, {captions} captions: {close} differ within a margin of {SMALLEST_MARGIN}, {wrong} wrongly")
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()
