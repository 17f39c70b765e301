#!/usr/bin/env python3
"""What a sweep costs as it grows: more training images, more runs, more unfrozen layers. A table, and `growth.svg` beside this file.

    python benches/prepare.py FOLDER --images 72
    cargo build --release
    python benches/growth.py FOLDER [--epochs 1]

Processor seconds of `sweep run` with an empty cache, in bf16, six validation images, captions of 20 tokens by three beams.
Takes about a quarter of an hour. Needs: matplotlib.
"""
import argparse, json, pathlib

import matplotlib
matplotlib.use("svg")
from matplotlib import pyplot

from sweeps import ALONE, PROGRAM, cpu_seconds, emptied, here

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
a = parser.parse_args()
folder = a.folder.resolve()
work = folder / "growth"


def seconds(images=24, runs=1, layers=1):
    """Processor seconds of a sweep of so many runs, which differ in their learning rate."""
    emptied(work)
    few = dict(list(json.loads((folder / "validation.json").read_text()).items())[:6])
    (work / "validation.json").write_text(json.dumps(few))
    rates = [1e-5 * (n + 1) for n in range(runs)]
    (work / "growth.yaml").write_text(f"""\
name: growth
model: {folder}/model
recipe: as-original
data:
  train: {{captions: {folder}/train.json, images: {folder}/images}}
  validation: {{captions: validation.json, images: {folder}/images}}
parameters: {{learning_rate: {{values: {rates}}}}}
training: {{epochs: {a.epochs}, warmup_steps: 2, precision: bf16, unfrozen_vision_layers: {layers}, train_examples: {images}}}
generation: {{max_length: 20, num_beams: 3}}
{ALONE}""")
    command = [a.program, "run", "growth.yaml", "--device", "cpu", "--jobs", "1", "--no-preflight"]
    return cpu_seconds(command, cwd=work)[1]


AXES = [("images", "training images", [12, 24, 48]), ("runs", "runs", [1, 2, 4, 8]),
        ("layers", "unfrozen layers", [0, 1, 2, 3, 6, 9, 12])]
figure, panels = pyplot.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for panel, (axis, label, values) in zip(panels, AXES):
    costs = [seconds(**{axis: value}) for value in values]
    for value, cost in zip(values, costs):
        each = f", {cost / value:.1f} each" if axis == "runs" else ""
        print(f"{label}: {value}: {cost:.1f} CPU s{each}", flush=True)
    panel.plot(values, costs, "o-", label="measured")
    if axis != "layers":
        panel.plot(values, [costs[0] * value / values[0] for value in values], "--", color="grey", label="in proportion")
    panel.set(xlabel=label, ylabel="CPU seconds", xlim=(0, None), ylim=(0, None))
    panel.legend(frameon=False)
figure.savefig(here / "growth.svg", metadata={"Date": None})
