#!/usr/bin/env python3
"""Times training steps of this program beside those of PyTorch, in alternation, and prints a table of the ratios.

    python benches/prepare.py FOLDER
    cargo bench --bench step --no-run
    python benches/compare.py FOLDER [--pairs 5] [--steps 3] [--only ROW]...

Each pair runs both programs, one after the other, on as many threads as the machine has cores. A ratio is the other's median
step over ours within a pair; the table has the median and the lower quartile over the pairs. Needs: torch transformers pillow.
"""
import argparse, glob, json, os, pathlib, statistics, subprocess, sys

here = pathlib.Path(__file__).parent
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--pairs", type=int, default=5)
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--only", action="append", default=[])
a = parser.parse_args()


def program():
    built = [path for path in glob.glob(str(here.parent / "target/release/deps/step-*")) if os.access(path, os.X_OK)]
    return max(built, key=os.path.getmtime) if built else sys.exit("build it first: cargo bench --bench step --no-run")


# As `sweep run` starts its workers: memory that is freed stays with the process.
KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "1000000000000", "MALLOC_TOP_PAD_": "67108864"}


def output(command, **environment):
    got = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    return json.loads(got.stdout) if got.returncode == 0 else sys.exit(f"{command}\n{got.stderr}")


def ours(*flags):
    got = output([program(), str(a.folder), "--steps", str(a.steps), *flags], **KEPT_MEMORY)
    return statistics.median(got["step_seconds"]), got["peak_memory_mb"]


def theirs(layers, *flags):
    got = output([sys.executable, str(here / "pytorch_baseline.py"), "--model", str(a.folder / "model"), "--images",
                  str(a.folder / "images"), "--train", str(a.folder / "train.json"), "--val",
                  str(a.folder / "validation.json"), "--unfrozen", layers, "--steps", str(a.steps + 1 + fill(flags)),
                  "--no-shuffle", *flags])
    return statistics.median(got["step_seconds"][1 + fill(flags):]), got["peak_rss_mb"]


def fill(flags):
    """Steps in which its cache is filled: the training images once."""
    return len(json.loads((a.folder / "train.json").read_text())) // 6 if "--cache" in flags else 0


ROWS = {
    "plain-3": ("3 layers, no cache, f32", lambda: theirs("3"), lambda: ours("--layers", "3")),
    "cache-0": ("0 layers, cache against none, f32", lambda: ours("--layers", "0"), lambda: ours("--layers", "0", "--cached")),
    "cache-1": ("1 layer, cache against none, f32", lambda: ours("--layers", "1"), lambda: ours("--layers", "1", "--cached")),
    "cache-2": ("2 layers, cache against none, f32", lambda: ours("--layers", "2"), lambda: ours("--layers", "2", "--cached")),
    "cache-3": ("3 layers, cache against none, f32", lambda: ours("--layers", "3"), lambda: ours("--layers", "3", "--cached")),
    "cache-6": ("6 layers, cache against none, f32", lambda: ours("--layers", "6"), lambda: ours("--layers", "6", "--cached")),
    "tuned-0": ("0 layers, both cached in bf16", lambda: theirs("0", "--amp", "--cache"),
                lambda: ours("--layers", "0", "--cached", "--precision", "bf16")),
    "tuned-3": ("3 layers, both cached in bf16", lambda: theirs("3", "--amp", "--cache"),
                lambda: ours("--layers", "3", "--cached", "--precision", "bf16")),
}

print("| what | seconds a step, before | after | ratio, median | lower quartile | peak memory, MB |\n|---|---|---|---|---|---|")
for name, (what, before, after) in ROWS.items():
    if a.only and name not in a.only:
        continue
    pairs = [(before(), after()) for _ in range(a.pairs)]
    ratios = sorted(b[0] / f[0] for b, f in pairs)
    middle = lambda which, i: statistics.median(pair[which][i] for pair in pairs)
    quartile = statistics.quantiles(ratios, n=4)[0] if len(ratios) > 1 else ratios[0]
    print(f"| {what} | {middle(0, 0):.2f} | {middle(1, 0):.2f} | {statistics.median(ratios):.2f} | {quartile:.2f} "
          f"| {middle(0, 1):.0f}, {middle(1, 1):.0f} |", flush=True)
