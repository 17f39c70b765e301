#!/usr/bin/env python3
"""A whole sweep, once by this program and once by the script in PyTorch for every run: processor seconds, losses, winner.

    python benches/prepare.py FOLDER
    cargo build --release
    python benches/whole_sweep.py FOLDER [--only ours|theirs] [--tuned] [--precision bf16] [--jobs N] [--diagnostics]

Eight runs: 0, 1, 2 and 3 unfrozen layers by two learning rates; 24 training and 12 validation images, two epochs, validation
captions after each. Ours is `sweep run` with an empty cache, and `sweep report`. It does what the script does, tries a step and
evaluates the model before training, and keeps what it may be resumed from; with `--diagnostics` also all that a sweep looks for
otherwise. Takes about half an hour. Needs: torch transformers pillow nltk rouge_score pycocoevalcap for the script.
"""
import argparse, csv, datetime, json, pathlib

from sweeps import PROGRAM, beside_script, cpu_seconds, emptied, script

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--only", choices=["ours", "theirs"])
parser.add_argument("--tuned", action="store_true", help="the script with --amp --cache --batched-generate 8")
parser.add_argument("--precision", default="f32", choices=["f32", "bf16"])
parser.add_argument("--jobs", type=int, default=1)
parser.add_argument("--diagnostics", action="store_true", help="with those of a run that leaves the setting as it is")
parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
a = parser.parse_args()
folder = a.folder.resolve()

LAYERS, RATES, EPOCHS = [0, 1, 2, 3], [3e-5, 1e-4], 2


def ours():
    """Processor seconds of `run` and `report`, and the validation loss of every run after each epoch."""
    work = emptied(folder / "whole_sweep")
    evaluation = {"diagnostics": a.diagnostics}
    (work / "whole.yaml").write_text(beside_script(folder, LAYERS, RATES, EPOCHS, a.precision, evaluation))
    said, run = cpu_seconds([a.program, "run", "whole.yaml", "--device", "cpu", "--jobs", str(a.jobs)], cwd=work)
    _, report = cpu_seconds([a.program, "report", "runs"], cwd=work)
    print(next((line for line in said.splitlines() if line.startswith("shared:")), ""))
    table = lambda name: list(csv.DictReader((work / "reports/whole" / f"{name}.csv").open()))
    points = {row["run"]: (int(row["setting.training.unfrozen_vision_layers"]), float(row["setting.training.learning_rate"]))
              for row in table("runs")}
    losses = {point: [] for point in points.values()}
    for row in table("steps"):
        if int(row["epoch"]) > 0:
            losses[points[row["run"]]].append(float(row["val_loss"]))
    print("seconds by the clock:", ", ".join(f"{name} {seconds:.0f}" for name, seconds in phases(work).items()))
    return run + report, losses


def phases(work):
    """Seconds by the clock that all runs took for each kind of event, from the event before it."""
    found = {}
    for log in work.glob("runs/whole/*/events.jsonl"):
        events = [json.loads(line) for line in log.open()]
        at = [datetime.datetime.fromisoformat(event["at"].replace("Z", "+00:00")).timestamp() for event in events]
        for event, before, now in zip(events[1:], at, at[1:]):
            is_first = event["event"] == "evaluated" and event["epoch"] == 0
            name = "evaluated before training" if is_first else event["event"]
            found[name] = found.get(name, 0.0) + now - before
    return found


def theirs():
    total, losses = 0.0, {}
    flags = ["--amp", "--cache", "--batched-generate", "8"] if a.tuned else []
    for layers in LAYERS:
        for rate in RATES:
            losses[layers, rate], seconds = script(folder, layers, rate, EPOCHS, *flags)
            total += seconds
            print(f"script, {layers} layers at {rate:g}: {seconds:.0f} CPU s", flush=True)
    return total, losses


best = lambda losses: min(losses, key=lambda point: min(losses[point]))
if a.only != "theirs":
    our_seconds, our_losses = ours()
    print(f"ours: {our_seconds:.0f} CPU s, best {best(our_losses)}")
if a.only != "ours":
    their_seconds, their_losses = theirs()
    print(f"script: {their_seconds:.0f} CPU s, best {best(their_losses)}")
if not a.only:
    apart = max(abs(x - y) for point in our_losses for x, y in zip(our_losses[point], their_losses[point], strict=True))
    print(f"ratio {their_seconds / our_seconds:.2f}; validation losses at most {apart:.1e} apart; "
          f"{'the same' if best(our_losses) == best(their_losses) else 'ANOTHER'} winner")
