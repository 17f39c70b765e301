#!/usr/bin/env python3
"""A whole sweep, once by this program and once by the script in PyTorch for every run: processor seconds, losses, winner.

    python benches/prepare.py FOLDER
    cargo build --release
    python benches/whole_sweep.py FOLDER [--only ours|theirs] [--tuned] [--precision bf16] [--jobs N]

Eight runs: 0, 1, 2 and 3 unfrozen layers by two learning rates; 24 training and 12 validation images, two epochs, validation
captions after each. Ours is `sweep run` with an empty cache, and `sweep report`; it also evaluates every run before training,
captions training images at the end, and writes diagnostics. Takes about half an hour. Needs: torch transformers pillow nltk
rouge_score pycocoevalcap for the script.
"""
import argparse, json, os, pathlib, resource, shutil, subprocess, sys

here = pathlib.Path(__file__).resolve().parent
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--only", choices=["ours", "theirs"])
parser.add_argument("--tuned", action="store_true", help="the script with --amp --cache --batched-generate 8")
parser.add_argument("--precision", default="f32", choices=["f32", "bf16"])
parser.add_argument("--jobs", type=int, default=1)
parser.add_argument("--program", type=pathlib.Path, default=here.parent / "target/release/sweep")
a = parser.parse_args()
folder = a.folder.resolve()

LAYERS, RATES, EPOCHS = [0, 1, 2, 3], [3e-5, 1e-4], 2
SPEC = f"""\
name: whole
model: {folder}/model
recipe: as-original
data:
  train: {{captions: {folder}/train.json, images: {folder}/images}}
  validation: {{captions: {folder}/validation.json, images: {folder}/images}}
parameters:
  unfrozen_vision_layers: {{values: {LAYERS}}}
  learning_rate: {{values: {RATES}}}
training: {{epochs: {EPOCHS}, warmup_steps: 2, shuffle: false, precision: {a.precision}}}
early_stopping: {{patience: 0}}
metric: {{name: val_loss, goal: minimize}}
references: {{zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false}}
"""


def timed(command, **options):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    got = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if got.returncode:
        sys.exit(f"{command}\n{got.stdout}\n{got.stderr}")
    return got.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours():
    work = folder / "whole_sweep"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "whole.yaml").write_text(SPEC)
    said, run = timed([a.program, "run", "whole.yaml", "--device", "cpu", "--jobs", str(a.jobs)], cwd=work)
    _, report = timed([a.program, "report", "runs"], cwd=work)
    losses = {}
    for events in (work / "runs/whole").glob("*/events.jsonl"):
        record = [json.loads(line) for line in events.read_text().splitlines()]
        spec = json.loads(subprocess.check_output([a.program, "status", "--format", "json"], cwd=work)) if not losses else None
        last = [line for line in record if line.get("event") == "evaluated"][-1]
        losses[events.parent.name] = last["val_loss"]
    return run + report, losses, said


def theirs():
    seconds, losses = 0.0, {}
    flags = ["--amp", "--cache", "--batched-generate", "8"] if a.tuned else []
    for layers in LAYERS:
        for rate in RATES:
            said, time = timed([sys.executable, here / "pytorch_baseline.py", "--model", folder / "model", "--images",
                                folder / "images", "--train", folder / "train.json", "--val", folder / "validation.json",
                                "--unfrozen", str(layers), "--lr", str(rate), "--epochs", str(EPOCHS), "--warmup-steps", "2",
                                "--no-shuffle", *flags])
            seconds += time
            losses[layers, rate] = [row["val_loss"] for row in json.loads(said)["history"]]
            print(f"{layers} layers at {rate:g}: {losses[layers, rate]}, {time:.0f} CPU s", flush=True)
    return seconds, losses


if a.only != "theirs":
    print(ours())
if a.only != "ours":
    print(theirs())
