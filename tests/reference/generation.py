#!/usr/bin/env python3
"""Writes tests/fixtures/generation/: captions of random models by transformers' `generate()`, to be equalled token for token.

    pip install -r tests/reference/requirements.txt
    python tests/reference/generation.py [--seed 0] [--models 8] [--images 128] [--out tests/fixtures/generation]
    python tests/reference/generation.py --check [--out ...]      compares what is there with this transformers, writes nothing

README.md, beside this script, describes the files.
"""
import argparse
import gzip
import json
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import torch
import transformers
from transformers.models.blip.modeling_blip import BlipForConditionalGeneration

from model_parts.captioners import build, draw_shapes, pixels, shake
from model_parts.margins import generate, say

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

OUT = Path(__file__).resolve().parents[1] / "fixtures" / "generation"
BASE = dict(num_beams=5, max_length=14, min_length=0, no_repeat_ngram_size=0, length_penalty=1.0, early_stopping=False,
            repetition_penalty=1.0)
GREEDY, THREE = dict(num_beams=1), dict(num_beams=3)
SETTINGS = [BASE | changed for changed in (
    GREEDY, GREEDY | dict(no_repeat_ngram_size=2),
    GREEDY | dict(min_length=6, no_repeat_ngram_size=3, repetition_penalty=1.1),
    GREEDY | dict(repetition_penalty=0.9, length_penalty=2.0, max_length=16),
    THREE, THREE | dict(length_penalty=0.0, early_stopping="never"), THREE | dict(length_penalty=2.0, early_stopping="never"),
    THREE | dict(length_penalty=-1.0, early_stopping="never"), THREE | dict(max_length=2),
    THREE | dict(min_length=6, max_length=10, no_repeat_ngram_size=2, repetition_penalty=1.3, length_penalty=2.0),
    dict(), dict(early_stopping=True), dict(early_stopping="never"),
    dict(length_penalty=0.0), dict(length_penalty=0.0, early_stopping=True), dict(length_penalty=-1.0),
    *(dict(length_penalty=2.0, no_repeat_ngram_size=2, early_stopping=when) for when in (True, False, "never")),
    dict(early_stopping=True, no_repeat_ngram_size=2, repetition_penalty=1.1),  # the original recipe's, but for the length
    dict(no_repeat_ngram_size=3, repetition_penalty=1.1, max_length=16), dict(no_repeat_ngram_size=1, early_stopping="never"),
    dict(repetition_penalty=0.9, early_stopping="never"), dict(min_length=8, max_length=12, early_stopping=True),
    dict(max_length=6))]
SMALLEST_MARGIN = 1e-4


def describe(model, pixel_values, settings):
    """The exact answer, and where PyTorch itself, in f32 or with weights a hundred f32 roundings off, says otherwise."""
    exact, rounded, shaken = model
    captions, scores, margins = generate(exact, pixel_values.double(), settings)
    others = {}
    for name, other, values in (("pytorch_f32", rounded, pixel_values), ("shaken", shaken, pixel_values.double())):
        said = say(other, values, settings)[0]
        others[name] = {image: ids for image, ids in enumerate(said) if ids != captions[image]}
    # A margin that means something: what it calls decided, neither rounding nor a hundred times as much changes.
    for image in [*others["pytorch_f32"], *others["shaken"]]:
        assert margins[image] < SMALLEST_MARGIN * (1 if image in others["pytorch_f32"] else 100), (settings, image, margins[image])
    return dict(settings=settings, token_ids=captions, sequences_scores=scores and [round(score, 7) for score in scores],
                margins=[float(f"{margin:.3g}") for margin in margins], pytorch_f32=others["pytorch_f32"],
                shaken=len(others["shaken"]))


def load_as(folder, dtype):
    return BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).to(dtype).eval()


def caption(folder, number, images, seed):
    load = lambda dtype: load_as(folder, dtype)
    size = load(torch.float32).config.vision_config.image_size
    pixel_seed = 1000 * seed + number + 1
    trio = load(torch.float64), load(torch.float32), shake(load(torch.float64), 1e-5, 77)
    cases = [describe(trio, pixels(pixel_seed, images, size), settings) for settings in SETTINGS]
    return dict(model=folder.name, images=images, pixel_seed=pixel_seed, cases=cases)


def summarise(row):
    lines = [len({tuple(ids) for ids in case["token_ids"]}) for case in row["cases"]]
    lengths = [len(ids) for case in row["cases"] for ids in case["token_ids"]]
    close = sum(margin <= SMALLEST_MARGIN for case in row["cases"] for margin in case["margins"])
    differ = sum(len(case["pytorch_f32"]) for case in row["cases"])
    print(f"{row['model']}: {min(lines)} to {max(lines)} different captions a setting, mean length {np.mean(lengths):.1f}, "
          f"{close} of {len(lengths)} margins within {SMALLEST_MARGIN}, PyTorch's f32 differs in {differ}, "
          f"shaken weights in {sum(case['shaken'] for case in row['cases'])}", flush=True)


def check(out):
    """Holds stored captions against those of the transformers at hand, which may be another version."""
    captions, differences = 0, 0
    for row in json.loads(gzip.decompress((out / "captions.json.gz").read_bytes())):
        model = load_as(out / row["model"], torch.float64)
        values = pixels(row["pixel_seed"], row["images"], model.config.vision_config.image_size).double()
        for case in row["cases"]:
            said = say(model, values, case["settings"])[0]
            for image, (ids, stored) in enumerate(zip(said, case["token_ids"])):
                captions += 1
                if ids != stored:
                    differences += 1
                    print(f"{row['model']}, image {image}, {case['settings']}: {ids}, not {stored}; margin {case['margins'][image]}")
    print(f"transformers {transformers.__version__}: {differences} of {captions} captions differ")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        return check(options.out)
    shutil.rmtree(options.out, ignore_errors=True)
    rng, rows = np.random.default_rng(options.seed), []
    for number, shape in enumerate(draw_shapes(options.models, rng)):
        folder = options.out / f"model{number}"
        build(shape, rng).half().save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)
        (folder / "generation_config.json").unlink()  # it says nothing, and transformers' version changes it
        rows.append(caption(folder, number, options.images, options.seed))
        summarise(rows[-1])
    with gzip.GzipFile(options.out / "captions.json.gz", "wb", mtime=0) as file:
        file.write(json.dumps(rows, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
