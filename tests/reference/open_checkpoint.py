#!/usr/bin/env python3
"""Opens the best checkpoint of runs with transformers and compares with what the runs recorded.

    cargo run --release -- run sweeps/unfreeze.yaml
    python tests/reference/open_checkpoint.py runs/unfreeze/r*

Of each run's `best/`: `from_pretrained` has to find every tensor and no other; the loss of every validation image, computed
from transformers' logits in f32, is compared with `per_image.jsonl`, and `generate()` with `predictions.jsonl`.
"""
import json
import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
import yaml
from PIL import Image
from transformers import AutoTokenizer, BlipForConditionalGeneration
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@torch.no_grad()
def compare(run):
    best = run / "best"
    recipe = yaml.safe_load((run / "config.yaml").read_text())
    recipe = recipe.get("recipe", recipe)
    epoch = next(e for e in reversed(lines(run / "events.jsonl")) if e["event"] == "ended")["summary"]["best"]["epoch"]
    model, info = BlipForConditionalGeneration.from_pretrained(best, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    model.eval()
    tokenizer, processor = AutoTokenizer.from_pretrained(best), BlipImageProcessorPil.from_pretrained(best)
    recorded = {row["image"]: row["loss"] for row in lines(run / "per_image.jsonl")
                if row["epoch"] == epoch and row["split"] == "validation"}
    predictions = [p for p in lines(run / "predictions.jsonl") if p["split"] == "validation"]
    images = pathlib.Path(recipe["data"]["validation"]["images"] or recipe["data"]["train"]["images"])
    # BLIP's generate() does not read the folder's settings by itself.
    settings = json.loads((best / "generation_config.json").read_text())
    length, start = recipe["training"]["max_length"], recipe["training"]["start_token"]
    worst, equal = 0.0, 0
    for prediction in predictions:
        pixels = processor(Image.open(images / prediction["image"]), return_tensors="pt")["pixel_values"]
        ids = tokenizer(prediction["references"][0], truncation=True, max_length=length, return_tensors="pt")["input_ids"]
        if start == "dec":
            ids[:, 0] = model.config.text_config.bos_token_id
        embeds = model.vision_model(pixels).last_hidden_state
        logits = model.text_decoder(ids, encoder_hidden_states=embeds).logits
        loss = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:]).item()
        worst = max(worst, abs(loss / recorded[prediction["image"]] - 1))
        said = model.generate(pixel_values=pixels, **settings)[0].tolist()
        end = model.config.text_config.sep_token_id
        said = said[: said.index(end) + 1] if end in said else said
        equal += said == prediction["token_ids"]
    print(f"{run}: epoch {epoch}, {len(predictions)} images, losses within {worst:.1e}, captions equal {equal} of {len(predictions)}")
    return worst < 1e-4


def main():
    runs = [pathlib.Path(run) for run in sys.argv[1:] if (pathlib.Path(run) / "best").is_dir()]
    assert runs, "no run with a best/ folder is named"
    sys.exit(0 if all([compare(run) for run in runs]) else 1)


if __name__ == "__main__":
    main()
