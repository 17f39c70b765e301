#!/usr/bin/env python3
"""What each lever brings: the script in PyTorch, then this program with nothing but its own operations, then one lever after the
other. And each lever switched off alone, as what one brings depends on the others. A table, and `waterfall.svg` beside this file.

    python benches/prepare.py FOLDER
    cargo build --release
    python benches/waterfall.py FOLDER

Processor seconds of two runs of one epoch, 0 and 3 unfrozen vision layers: 24 training and 12 validation images, captions by five
beams; ours with an empty cache, and evaluated before training, too. Takes about a quarter of an hour. Needs: torch transformers
pillow matplotlib, and nltk rouge_score pycocoevalcap for the script.
"""
import argparse, pathlib

import matplotlib
matplotlib.use("svg")
from matplotlib import pyplot

from sweeps import PROGRAM, beside_script, cpu_seconds, emptied, here, script

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
a = parser.parse_args()
folder = a.folder.resolve()

LAYERS, RATE, EPOCHS = [0, 3], 3e-5, 1
LEVERS = ["many images a generate call", "states of frozen layers cached", "bf16 products"]


def ours(levers):
    """Processor seconds with these of the levers."""
    work = emptied(folder / "waterfall")
    batching, cache, bf16 = (lever in levers for lever in LEVERS)
    evaluation = {} if batching else {"batch_size": 1}
    (work / "whole.yaml").write_text(
        beside_script(folder, LAYERS, [RATE], EPOCHS, "bf16" if bf16 else "f32", evaluation))
    flags = [] if cache else ["--no-cache"]
    return cpu_seconds([a.program, "run", "whole.yaml", "--device", "cpu", "--jobs", "1", *flags], cwd=work)[1]


costs = [("script in PyTorch, f32", sum(script(folder, layers, RATE, EPOCHS)[1] for layers in LAYERS))]
costs += [("our operations alone", ours([]))]
costs += [(f"+ {lever}", ours(LEVERS[:n + 1])) for n, lever in enumerate(LEVERS)]
for name, cost in costs:
    print(f"{name}: {cost:.0f} CPU s, {costs[0][1] / cost:.2f} times the script", flush=True)
for lever in LEVERS:
    cost = costs[-2][1] if lever == LEVERS[-1] else ours([other for other in LEVERS if other != lever])
    print(f"all but {lever}: {cost:.0f} CPU s, {cost / costs[-1][1]:.2f} times all", flush=True)

figure, panel = pyplot.subplots(figsize=(8, 2.8), layout="constrained")
for place, (name, cost) in enumerate(costs):
    before = costs[place - 1][1] if place else cost
    panel.barh(place, cost, color="#3b6ea5")
    panel.barh(place, max(before - cost, 0), left=cost, color="none", edgecolor="#3b6ea5", linestyle=":")
    panel.text(max(before, cost), place, f"  {cost:.0f} s, {costs[0][1] / cost:.1f} x", va="center")
panel.set(yticks=range(len(costs)), yticklabels=[name for name, _ in costs], xlabel="CPU seconds",
          xlim=(0, 1.15 * max(cost for _, cost in costs)))
panel.invert_yaxis()
panel.spines[["top", "right"]].set_visible(False)
figure.savefig(here / "waterfall.svg", metadata={"Date": None})
