"""Makes tests/fixtures/original/: small trainings by the rules of the original recipe, epoch by epoch.

    python tests/reference/original.py /usr/share/wordnet [--seed N] [--out FOLDER]

The loop below does what the original script does, in its order, with transformers, torch, nltk, rouge_score and
pycocoevalcap (versions in requirements.txt): the split by Python's own `random`, AdamW with one group and decay on all
tensors, labels that are the input ids (padding included), a validation loss over the first 50 batches, captions one
image at a time, the score with its fall-back to minus the loss, early stopping, and a test of the saved weights, or of
the pretrained ones where none were saved. One thing it leaves out: the original's training order is unseeded, so here
it is that of the split. Expected values are computed in f64; a case is only written if f32 says the same captions.
"""

import argparse
import base64
import copy
import gzip
import io
import json
import random
import shutil
import tempfile
from pathlib import Path

import nltk
import numpy as np
import torch
from nltk.translate.meteor_score import meteor_score
from PIL import Image
from pycocoevalcap.cider.cider import Cider
from rouge_score import rouge_scorer
from transformers import AutoTokenizer, BlipConfig, BlipForConditionalGeneration
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.optimization import get_linear_schedule_with_warmup

OUT = Path(__file__).resolve().parents[1] / "fixtures" / "original"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
COLOURS = {"red": (220, 30, 40), "blue": (30, 60, 200), "green": (20, 160, 60), "white": (240, 240, 240)}
SLEEVES = {"long": (90, 20, 120), "short": (250, 200, 30), "no": (10, 10, 10)}
FABRICS = ["cotton", "denim", "chiffon"]
GENERATE = dict(num_beams=5, no_repeat_ngram_size=2, length_penalty=1.0, early_stopping=True, repetition_penalty=1.1,
                do_sample=False)
# What the cases are for. The decoder has only small letters, so CIDEr-D is 0 where references are in capitals. Scores alone;
# scores after epochs without any CIDEr-D, since only a last sentence has small letters; losses alone, those of the first
# 50 of 60 batches; and losses that stay above 1, so that no epoch is ever the best.
CASES = [
    dict(name="learns", images=90, fraction=0.3, batch_size=6, epochs=12, patience=3, rate=5e-3, warmup=40, max_length=24,
         samples=12, test_samples=7, capitals="none"),
    dict(name="mixed", images=70, fraction=0.4, batch_size=3, epochs=10, patience=3, rate=5e-3, warmup=60, max_length=30,
         samples=20, test_samples=8, capitals="first"),
    dict(name="falls_back", images=100, fraction=0.6, batch_size=1, epochs=6, patience=5, rate=2e-3, warmup=60, max_length=20,
         samples=10, test_samples=100, capitals="all"),
    dict(name="none_best", images=40, fraction=0.25, batch_size=4, epochs=9, patience=3, rate=1e-5, warmup=50, max_length=24,
         samples=100, test_samples=5, capitals="all"),
]
MAX_BATCHES = 50


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("wordnet", type=Path)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--out", type=Path, default=OUT)
    arguments = arguments.parse_args()
    torch.set_num_threads(1)
    out = arguments.out
    (out / "model").mkdir(parents=True, exist_ok=True)
    tokenizer, model = write_model(out / "model", arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        open_wordnet(arguments.wordnet, Path(folder))
        cases = [write_case(tokenizer, model, case, arguments.seed) for case in CASES]
    text = json.dumps(dict(splits=splits(arguments.seed), cases=cases))
    # Without a time stamp, two runs write the same bytes.
    (out / "cases.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def open_wordnet(source, folder):
    """Lets NLTK read Debian's files with the two that it wants besides; of these, METEOR reads nothing."""
    corpus = folder / "corpora" / "wordnet"
    shutil.copytree(source, corpus)
    (corpus / "lexnames").write_text("".join(f"{i:02}\tfile{i}\t1\n" for i in range(45)))
    (corpus / "index.sense").touch()
    nltk.data.path.insert(0, str(folder))


def splits(seed):
    """Python's own shuffles, as checksums of the order and the first validation indices."""
    rng, rows = np.random.default_rng(seed), []
    for n in [10155, 2, 3, 624, 625, 1000, *rng.integers(4, 20000, 40).tolist()]:
        chosen = 42 if len(rows) < 6 else int(rng.integers(0, 2**63))
        order = list(range(n))
        random.seed(chosen)
        random.shuffle(order)
        validating = order[n - int(n * 0.1):] if int(n * 0.1) else []
        rows.append(dict(n=n, seed=chosen, first=order[:5], validation=validating[:5], validating=len(validating),
                         checksum=sum((place + 1) * index for place, index in enumerate(order)) % (2**61 - 1)))
    return rows


def caption(colour, sleeve, fabric, capitals, rng):
    """Cased sentences with punctuation, of several lengths, so that batches are padded and some captions are cut."""
    text = f"The shirt has {sleeve} sleeves, {fabric} fabric. The color is {colour}."
    more = f" It is a {colour}-{sleeve} shirt of {fabric}." if rng.random() < 0.5 else ""
    if capitals != "first":
        return text + more if capitals == "none" else (text + more).upper()
    # Of two word pieces and a full stop, which nothing but learning puts together.
    return text.upper() + (" sleeves." if more else "")


def draw(colour, sleeve, rng):
    """20 x 20 pixels, which the processor makes smaller: the colour above the sleeves, with a shift of its own."""
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:12] = COLOURS[colour]
    pixels[12:] = SLEEVES[sleeve]
    pixels[rng.integers(0, 20), :] = rng.integers(0, 255, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def write_model(folder, seed):
    words = "the shirt has long short no sleeve fabric color is it a of red blue green white cotton denim chiff s on".split()
    pieces = list(dict.fromkeys([*SPECIAL, ".", ",", "-", *words, "##s", "##on"]))
    ids = {piece: index for index, piece in enumerate(pieces)}
    special = [dict(id=ids[name], content=name, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
               for name in SPECIAL]
    tokenizer = dict(
        version="1.0", truncation=None, padding=None, added_tokens=special,
        normalizer=dict(type="BertNormalizer", clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True),
        pre_tokenizer=dict(type="BertPreTokenizer"),
        post_processor=dict(type="BertProcessing", sep=["[SEP]", ids["[SEP]"]], cls=["[CLS]", ids["[CLS]"]]),
        decoder=dict(type="WordPiece", prefix="##", cleanup=True),
        model=dict(type="WordPiece", unk_token="[UNK]", continuing_subword_prefix="##", max_input_chars_per_word=100, vocab=ids))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    names = {name.strip("[]").lower() + "_token": name for name in SPECIAL}
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(
        tokenizer_class="BertTokenizer", do_lower_case=True, model_max_length=512, **names)))
    (folder / "preprocessor_config.json").write_text(json.dumps(dict(
        image_processor_type="BlipImageProcessor", size=16, image_mean=[0.48145466, 0.4578275, 0.40821073],
        image_std=[0.26862954, 0.26130258, 0.27577711])))
    torch.manual_seed(seed)
    vocabulary = len(pieces) + 2
    config = BlipConfig(
        vision_config=dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, image_size=16,
                           patch_size=4),
        text_config=dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                         vocab_size=vocabulary, max_position_embeddings=32, bos_token_id=vocabulary - 2, eos_token_id=2,
                         sep_token_id=ids["[SEP]"], pad_token_id=0, hidden_dropout_prob=0.0,
                         attention_probs_dropout_prob=0.0))
    model = BlipForConditionalGeneration(config)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.from_numpy(rng.standard_normal(tuple(parameter.shape)).astype(np.float32))
            is_norm = "norm" in name.lower()
            scale = 0.05 if is_norm or name.endswith("bias") else 0.3 if "embedding" in name else 1.0 / parameter[0].numel() ** 0.5
            parameter.copy_(scale * noise + (1.0 if is_norm and name.endswith("weight") else 0.0))
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    return AutoTokenizer.from_pretrained(folder), model


def write_case(tokenizer, model, case, seed):
    rng = np.random.default_rng([seed, *case["name"].encode()])
    item = lambda: (rng.choice(list(COLOURS)), rng.choice(list(SLEEVES)), rng.choice(FABRICS))
    def examples(count):
        rows = []
        for _ in range(count):
            colour, sleeve, fabric = item()
            text = caption(colour, sleeve, fabric, case["capitals"], rng)
            rows.append((draw(colour, sleeve, rng), text))
        return rows
    train, test = examples(case["images"]), examples(9)
    exact, rounded = (run(tokenizer, model, case, train, test, dtype) for dtype in (torch.float64, torch.float32))
    same = [row["captions"] for row in exact["epochs"]] == [row["captions"] for row in rounded["epochs"]]
    assert same and exact["test"]["captions"] == rounded["test"]["captions"], f"{case['name']}: captions near a tie, take another seed"
    error = max(abs(e["train_loss"] - r["train_loss"]) / e["train_loss"] for e, r in zip(exact["epochs"], rounded["epochs"]))
    print(case["name"], "best", exact["best_epoch"], "of", len(exact["epochs"]), "f32 error", error)
    for row in exact["epochs"]:
        print("   ", {key: round(value, 4) for key, value in row.items() if key != "captions"})
    return dict(case, train=train, test=test, expected=exact, pytorch_f32_error=error)


def run(tokenizer, pretrained, case, train, test, dtype):
    """The original script, from the split to the test scores."""
    model = copy.deepcopy(pretrained).to(dtype)
    processor = BlipImageProcessorPil(size=dict(height=16, width=16))
    pixels_of = lambda rows: processor([Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB") for png, _ in rows],
                                       return_tensors="pt")["pixel_values"].to(dtype)
    length = case["max_length"]

    def loss_of(rows):
        inputs = tokenizer([text for _, text in rows], padding=True, truncation=True, max_length=length, return_tensors="pt")
        return model(pixel_values=pixels_of(rows), input_ids=inputs.input_ids, attention_mask=inputs.attention_mask,
                     labels=inputs.input_ids).loss

    def say(row):
        ids = model.generate(pixel_values=pixels_of([row]), max_length=length, **GENERATE)[0]
        return tokenizer.decode(ids, skip_special_tokens=True)

    batches = lambda rows: [rows[i:i + case["batch_size"]] for i in range(0, len(rows), case["batch_size"])]
    order = list(range(len(train)))
    random.seed(42)
    random.shuffle(order)
    kept = len(train) - int(len(train) * case["fraction"])
    training, validating = [train[i] for i in order[:kept]], [train[i] for i in order[kept:]]

    model.requires_grad_(False)
    model.text_decoder.requires_grad_(True)
    groups = [dict(params=list(model.text_decoder.parameters()), lr=case["rate"], weight_decay=0.01)]
    optimizer = torch.optim.AdamW(groups)
    schedule = get_linear_schedule_with_warmup(optimizer, case["warmup"], len(batches(training)) * case["epochs"])
    best, best_epoch, stale, saved, epochs = -1.0, 0, 0, None, []
    for epoch in range(1, case["epochs"] + 1):
        model.train()
        losses = []
        for rows in batches(training):
            loss = loss_of(rows)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        model.eval()
        total, count, captions, references = 0.0, 0, [], []
        with torch.no_grad():
            for rows in batches(validating):
                total += loss_of(rows).item()
                for row in rows[:case["samples"] - len(captions)]:
                    captions.append(say(row))
                    references.append(row[1])
                count += 1
                if count >= MAX_BATCHES and len(captions) >= case["samples"]:
                    break
        row = dict(epoch=epoch, train_loss=sum(losses) / len(losses), val_loss=total / count, **scores(references, captions))
        row["score"] = (row["meteor"] + row["rouge_l"] + row["cider_d"]) / 3 if row["cider_d"] > 0 else -row["val_loss"]
        epochs.append(dict(row, captions=captions))
        if row["score"] > best:
            best, best_epoch, stale, saved = row["score"], epoch, 0, copy.deepcopy(model.state_dict())
        else:
            stale += 1
            if stale >= case["patience"]:
                break
    model = copy.deepcopy(pretrained).to(dtype).eval()
    if saved is not None:
        model.load_state_dict(saved)
    chosen = test[:case["test_samples"]]
    with torch.no_grad():
        captions = [say(row) for row in chosen]
    return dict(epochs=epochs, best_epoch=best_epoch, test=dict(captions=captions, **scores([row[1] for row in chosen], captions)))


def scores(references, captions):
    rouge = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
    mean = lambda values: float(sum(values) / max(len(values), 1))
    cider, _ = Cider().compute_score({i: [text] for i, text in enumerate(references)}, {i: [text] for i, text in enumerate(captions)})
    pairs = list(zip(references, captions))
    return dict(
        meteor=mean([meteor_score([reference.split()], said.split()) for reference, said in pairs]),
        rouge_l=mean([rouge.score(reference, said)["rougeL"].fmeasure for reference, said in pairs]),
        cider_d=float(cider))


if __name__ == "__main__":
    main()
