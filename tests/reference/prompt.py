"""Makes tests/fixtures/prompt/cases.json: losses and captions behind a prompt, by transformers.

    python tests/reference/prompt.py

The model is `tiny_sharp` of model.py and the images are those of its captions, whose fixtures it reads. Losses are in f64;
labels of the start token and of the prompt are -100, as BLIP's authors trained (`models/blip.py` of salesforce/BLIP).
"""
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from model_parts.generation import BASE, generate
from model_parts.models import SEP, cls_of, collate, draw_captions, load
from model_parts.output import OUT

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "prompt" / "cases.json"
IMAGES = 12
PROMPTS = [[30], [30, 12], [30, 4, 32]]
SETTINGS = [BASE | changed for changed in (
    dict(num_beams=1), dict(num_beams=1, repetition_penalty=1.3, no_repeat_ngram_size=2), dict(early_stopping=True),
    dict(num_beams=3, length_penalty=2.0, early_stopping="never"), dict(length_penalty=0.5),
    dict(num_beams=4, min_length=8, no_repeat_ngram_size=2, repetition_penalty=1.1, early_stopping=True), dict(max_length=7))]


def loss(model, pixels, captions, prompt, mask_padding):
    rows = [[row[0], *prompt, *row[1:]] for row in captions]
    batch = collate(model, rows, "dec", mask_padding)
    batch["labels"][:, :1 + len(prompt)] = -100
    return float(model(pixel_values=pixels, **batch).loss.detach())


def captions_of(model, pixels, prompt, settings):
    """Token ids up to and with [SEP], each with the prompt."""
    row = torch.tensor([[cls_of(model), *prompt, SEP]]).repeat(len(pixels), 1)
    return generate(model, pixels, dict(settings, input_ids=row, attention_mask=torch.ones_like(row)))


exact, rounded = load("tiny_sharp", torch.float64), load("tiny_sharp", torch.float32)
pixels = load_file(OUT / "tiny_generate.safetensors")["pixel_values"][:IMAGES]
captions = draw_captions(exact, np.random.default_rng(3).integers(3, 14, IMAGES).tolist(), np.random.default_rng(4))
losses = [dict(prompt=prompt, mask_padding=mask, loss=loss(exact, pixels, captions, prompt, mask))
          for prompt in PROMPTS for mask in (True, False)]
said = []
for prompt in PROMPTS:
    for settings in SETTINGS:
        (ids, scores), (others, _) = (captions_of(model, pixels, prompt, settings) for model in (exact, rounded))
        # What hangs on rounding is left out.
        kept = [i for i in range(IMAGES) if ids[i] == others[i]]
        assert len(kept) > IMAGES / 2
        assert all(ids[i][1:1 + len(prompt)] == prompt for i in kept)
        said.append(dict(prompt=prompt, settings=settings, images=kept, token_ids=[ids[i] for i in kept],
                         sequences_scores=scores and [scores[i] for i in kept]))
FIXTURE.parent.mkdir(exist_ok=True)
FIXTURE.write_text(json.dumps(dict(model="tiny_sharp", captions=captions, losses=losses, said=said)) + "\n")
print(f"{len(losses)} losses; {sum(len(case['images']) for case in said)} captions, "
      f"{len({tuple(ids) for case in said for ids in case['token_ids']})} of them different")
