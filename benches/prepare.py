#!/usr/bin/env python3
"""Writes what the benchmarks run on: a BLIP-base with random weights, drawn images and captions.

    python benches/prepare.py FOLDER [--images 36]

FOLDER/model has the sizes of Salesforce/blip-image-captioning-base (384 px, 12 layers in each half, 30,524 words) in the
Hugging Face layout; its words are made up. Captions take 50 to 60 tokens, `[CLS]` and `[SEP]` among them.
Needs: torch transformers pillow numpy.
"""
import argparse, json, pathlib, random

import numpy, torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertTokenizerFast, BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--images", type=int, default=36)
arguments = parser.parse_args()
folder, draw = arguments.folder, random.Random(7)
(folder / "images").mkdir(parents=True, exist_ok=True)

# A vocabulary of BERT's size: special tokens at their places, then words.
special = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, "[DEC]": 30522, "[ENC]": 30523}
names = {place: token for token, place in special.items()}
syllables = [a + b for a in "bcdfghjklmnprstvz" for b in "aeiou"]
count = len(syllables)
word = lambda i: syllables[i // count**2 % count] + syllables[i // count % count] + syllables[i % count]
vocabulary = {names.get(i, word(i)): i for i in range(30524)}
assert len(vocabulary) == 30524
tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 101), ("[SEP]", 102)])
tokenizer = BertTokenizerFast(tokenizer_object=tokenizer, bos_token="[DEC]", model_max_length=512,
                              additional_special_tokens=["[ENC]"])

torch.manual_seed(7)
model = BlipForConditionalGeneration(BlipConfig())
model.save_pretrained(folder / "model")
BlipProcessor(BlipImageProcessor(), tokenizer).save_pretrained(folder / "model")

words = [token for token, i in vocabulary.items() if i > 1000 and not token.startswith("[")][:400]
captions = {}
for i in range(arguments.images):
    noise = numpy.random.default_rng(i).integers(0, 256, (12, 9, 3), dtype=numpy.uint8)
    Image.fromarray(noise).resize((450, 600), Image.BICUBIC).save(folder / "images" / f"{i:04}.jpg", quality=90)
    captions[f"{i:04}.jpg"] = " ".join(draw.choices(words, k=draw.randint(48, 58)))
items = list(captions.items())
cut = len(items) * 2 // 3
for name, part in [("train", items[:cut]), ("validation", items[cut:])]:
    (folder / f"{name}.json").write_text(json.dumps(dict(part), indent=1))
