#!/usr/bin/env python3
"""Trains random models with `sweep run` and with PyTorch, from the same folders, and compares what both record.

    cargo build --release
    python tests/reference/training_end_to_end.py target/release/sweep [--seed 1] [--models 10] [--keep FOLDER]

Each model has its own sizes, tokenizer, pictures (PNG) and captions, and a recipe drawn at random. PyTorch loads the same
model folder with `from_pretrained`, the pictures with Pillow and transformers' processor, the captions with transformers'
tokenizer, and trains with `torch.optim.AdamW`, in f32 and in f64. The loss and the gradient's norm of every step that
`sweep` records, the mean loss of every epoch, and the validation loss are compared with f64; beside them is how far PyTorch
itself is off in f32. Ends with 1 where a difference exceeds 1e-4 and PyTorch itself is not off by a tenth of that.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, BertTokenizer
from transformers.models.blip.configuration_blip import BlipConfig
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.blip.modeling_blip import BlipForConditionalGeneration
from transformers.optimization import get_linear_schedule_with_warmup

from model_parts.models import choose_trainable, draw
from training_parts.architectures import draw_architecture
from training_parts.dropout import Masks, drop

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "a the red blue green shirt dress hat long short sleeve with and of cotton denim pattern solid colour she he wears . , - ##s ##ed neck".split()


def write_tokenizer(folder):
    tokens = SPECIAL + WORDS
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(names, tokenizer_class="BertTokenizer", do_lower_case=True)))
    return len(tokens)


def write_model(folder, rng, initial):
    """A random model: as transformers initialises one, or with larger weights (`sharp`)."""
    folder.mkdir(parents=True)
    words = write_tokenizer(folder)
    longest = int(rng.integers(16, 40))
    architecture = draw_architecture(
        rng, dict(num_hidden_layers=int(rng.integers(3, 6)), head=int(rng.integers(4, 9)), num_attention_heads=int(rng.integers(2, 5))),
        dict(vocab_size=words + 2, pad_token_id=0, max_position_embeddings=longest, head=int(rng.integers(4, 9)), num_attention_heads=int(rng.integers(2, 5))))
    architecture["text"].update(bos_token_id=words, sep_token_id=3)
    torch.manual_seed(int(rng.integers(2**31)))
    model = BlipForConditionalGeneration(BlipConfig(vision_config=architecture["vision"], text_config=architecture["text"]))
    if initial == "sharp":
        with torch.no_grad():
            for name, parameter in sorted(model.named_parameters()):
                parameter.copy_(torch.from_numpy(0.7 * draw(name, tuple(parameter.shape), rng)))
    model.save_pretrained(folder)
    size = architecture["vision"]["image_size"]
    BlipImageProcessorPil(size=dict(height=size, width=size)).save_pretrained(folder)
    return longest


def write_data(folder, rng, split, count):
    """Noisy pictures of many sizes and captions of many lengths."""
    (folder / "images").mkdir(exist_ok=True)
    captions = {}
    for number in range(count):
        width, height = rng.integers(5, 60, 2)
        name = f"{split}{number}.png"
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(folder / "images" / name)
        words = rng.choice([word for word in WORDS if not word.startswith("##")], rng.integers(1, 25))
        captions[name] = " ".join(words.tolist()).capitalize()
    (folder / f"{split}.json").write_text(json.dumps(captions))
    return captions


def draw_recipe(rng, longest):
    pick = lambda *values: values[int(rng.integers(len(values)))]
    return dict(
        unfrozen_vision_layers=pick(0, 1, 3), learning_rate=pick(1e-4, 3e-4, 1e-3), vision_lr_multiplier=pick(0.1, 0.5, 1.0),
        text_lr_multiplier=pick(1.0, 0.7), weight_decay=pick(0.0, 0.01, 0.05), batch_size=pick(2, 3, 4), epochs=pick(3, 4, 6),
        warmup_steps=pick(0, 5, 10), max_grad_norm=pick(0.5, 2.0, 100.0), max_length=min(pick(12, 30), longest), start_token=pick("cls", "dec"),
        mask_padding=pick(False, True), label_smoothing=pick(0.0, 0.1), dropout=pick(0.0, 0.0, 0.1), shuffle=False)


def run_sweep(binary, folder, recipe, seed, threads):
    spec = dict(name="one", model="model", seeds=[seed], training=recipe,
                data=dict(train=dict(captions="train.json", images="images"), validation=dict(captions="validation.json", images="images")),
                references=dict(zero_shot=False, constant_caption=False, nearest_image=False), early_stopping=dict(patience=0),
                generation=dict(max_length=6, num_beams=1), evaluation=dict(samples=1))
    (folder / "one.yaml").write_text(json.dumps(spec))  # JSON is YAML.
    command = [binary, "run", "one.yaml", "--no-preflight", "--threads", str(threads), "--jobs", "1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} in {folder} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    [log] = folder.glob("runs/one/*/events.jsonl")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    steps = {e["step"]: e for e in events if e["event"] == "step"}
    epochs = {e["epoch"]: e for e in events if e["event"] == "evaluated" and e["epoch"] > 0}
    return steps, epochs


class Reference:
    def __init__(self, folder, recipe, seed, dtype):
        self.recipe, self.dtype = recipe, dtype
        self.folder = folder
        path = folder / "model"
        self.model = BlipForConditionalGeneration.from_pretrained(path, dtype=torch.float32).to(dtype)
        self.model.text_decoder.label_smoothing = recipe["label_smoothing"]
        self.processor = BlipImageProcessorPil.from_pretrained(path)
        self.tokenizer = BertTokenizer.from_pretrained(path)
        self.masks = Masks(seed, recipe["dropout"])
        self.trainable = choose_trainable(self.model, recipe["unfrozen_vision_layers"], True)
        if recipe["dropout"] > 0:
            drop(self.model, self.masks, recipe["unfrozen_vision_layers"])

    def batch(self, captions, names, mask_padding):
        pictures = [Image.open(self.folder / "images" / name).convert("RGB") for name in names]
        pixels = self.processor(images=pictures, return_tensors="pt").pixel_values.to(self.dtype)
        texts = [captions[name] for name in names]
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=self.recipe["max_length"], return_tensors="pt")
        ids = tokens.input_ids.clone()
        if self.recipe["start_token"] == "dec":
            ids[:, 0] = self.model.config.text_config.bos_token_id
        labels = ids.clone()
        if mask_padding:
            labels[tokens.attention_mask == 0] = -100
        return dict(pixel_values=pixels, input_ids=ids, attention_mask=tokens.attention_mask, labels=labels)

    def batches(self, captions):
        names, size = list(captions), self.recipe["batch_size"]
        return [names[first:first + size] for first in range(0, len(names), size)]

    def train(self, train, validation):
        recipe, model = self.recipe, self.model
        parts = {part: [p for n, p in model.named_parameters() if n in self.trainable and n.startswith(prefix)]
                 for part, prefix in (("text", "text_decoder."), ("vision", "vision_model."))}
        groups = [dict(params=parts[part], lr=recipe["learning_rate"] * recipe[f"{part}_lr_multiplier"]) for part in parts if parts[part]]
        optimizer = torch.optim.AdamW(groups, weight_decay=recipe["weight_decay"])
        batches = self.batches(train)
        schedule = get_linear_schedule_with_warmup(optimizer, recipe["warmup_steps"], len(batches) * recipe["epochs"])
        steps, epochs = [], []
        for _ in range(recipe["epochs"]):
            model.train()
            for names in batches:
                self.masks.step = len(steps)
                loss = model(**self.batch(train, names, recipe["mask_padding"])).loss
                optimizer.zero_grad()
                loss.backward()
                norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), recipe["max_grad_norm"]))
                rate = optimizer.param_groups[0]["lr"]
                optimizer.step()
                schedule.step()
                steps.append(dict(loss=float(loss.detach()), gradient_norm=norm, learning_rate=rate))
            mean = float(np.mean([step["loss"] for step in steps[-len(batches):]]))
            epochs.append(dict(train_loss=mean, val_loss=self.validate(validation)))
        return steps, epochs

    @torch.no_grad()
    def validate(self, captions):
        """The mean over all target tokens."""
        self.model.eval()
        total, count = 0.0, 0
        for names in self.batches(captions):
            batch = self.batch(captions, names, self.recipe["mask_padding"])
            targets = int((batch["labels"][:, 1:] != -100).sum())
            total += float(self.model(**batch).loss) * targets
            count += targets
        return total / count


def compare(found, exact):
    return {key: max(abs(f[key] - e[key]) / max(abs(e[key]), 1e-30) for f, e in zip(found, exact)) for key in exact[0]}


def one(binary, folder, seed, number, threads):
    rng = np.random.default_rng([seed, number])
    initial = ("sharp", "transformers")[number % 2]
    longest = write_model(folder / "model", rng, initial)
    train, validation = write_data(folder, rng, "train", int(rng.integers(7, 30))), write_data(folder, rng, "validation", int(rng.integers(2, 6)))
    recipe = draw_recipe(rng, longest)
    steps, epochs = run_sweep(binary, folder, recipe, number, threads)
    (exact_steps, exact_epochs), (f32_steps, f32_epochs) = (
        Reference(folder, recipe, number, dtype).train(train, validation) for dtype in (torch.float64, torch.float32))
    recorded = sorted(steps)
    assert recorded and len(epochs) == recipe["epochs"]
    at = lambda rows: [rows[step - 1] for step in recorded]
    ours = compare([steps[step] for step in recorded], at(exact_steps)) | compare([epochs[n] for n in sorted(epochs)], exact_epochs)
    theirs = compare(f32_steps, exact_steps) | compare(f32_epochs, exact_epochs)
    bad = [key for key in ours if ours[key] > 1e-4]
    excused = [key for key in bad if theirs[key] > 1e-5]
    shown = lambda errors: " ".join(f"{key} {value:.1e}" for key, value in errors.items())
    clipped = sum(step["gradient_norm"] > recipe["max_grad_norm"] for step in exact_steps)
    print(f"model {number} ({initial}), {len(recorded)} of {len(exact_steps)} steps recorded, {clipped} clip: "
          + " ".join(f"{key}={value}" for key, value in recipe.items()))
    print(f"   sweep against f64:          {shown(ours)}\n   PyTorch in f32 against f64: {shown(theirs)}"
          + (f"\n   DIFFERS in {bad}, PyTorch itself strays in {excused}" if bad else ""), flush=True)
    return ours, theirs, set(bad) - set(excused)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="work here and leave everything")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = arguments.keep or Path(scratch)
        results = [one(arguments.binary.resolve(), base / f"{arguments.seed}_{number}", arguments.seed, number, arguments.threads)
                   for number in range(arguments.models)]
    for who, place in (("sweep", 0), ("PyTorch in f32", 1)):
        print(f"worst of {len(results)} models, {who} against PyTorch in f64: "
              + " ".join(f"{key} {max(result[place][key] for result in results):.1e}" for key in results[0][place]))
    sys.exit(1 if any(result[2] for result in results) else 0)


if __name__ == "__main__":
    main()
