"""Times `sweep score` and the Python packages side by side, on the same files, and compares what they say.

    cargo build --release
    python tests/reference/score_speed.py /usr/share/wordnet target/release/sweep [--captions 5000] [--references 5]

Each is a process of its own and takes its turn, several times; medians are printed. The Python side does what
src/score does and no more: Stanford's tokenizer and pycocoevalcap's BLEU, CIDEr-D and ROUGE-L with NLTK's METEOR
(`coco`), or rouge_score, CIDEr-D, BLEU and METEOR on raw strings (`original`). The time inside is that after the
packages have been imported and WordNet has been read.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

METRICS = ["meteor", "rouge_l", "cider_d", "bleu_1", "bleu_2", "bleu_3", "bleu_4"]


def write_captions(folder, count, references, seed):
    from score_texts import clothing, reworded, scene

    rng = random.Random(seed)
    truth, said = {}, {}
    for i in range(count):
        draw = scene if i % 2 else clothing
        first = draw(rng)
        truth[f"{i}.jpg"] = [first] + [reworded(rng, first) for _ in range(references - 1)]
        said[f"{i}.jpg"] = reworded(rng, first)
    (folder / "references.json").write_text(json.dumps(truth))
    (folder / "predictions.json").write_text(json.dumps(said))


def python_stack(convention, folder, wordnet_folder):
    """Scores the files with the Python packages; prints the scores and the time inside."""
    import scores

    truth = json.loads((folder / "references.json").read_text())
    said = json.loads((folder / "predictions.json").read_text())
    items = [(said[image], references) for image, references in truth.items()]
    with tempfile.TemporaryDirectory() as data:
        scores.open_wordnet(wordnet_folder, data)
        start = time.perf_counter()
        found = (scores.coco if convention == "coco" else scores.original)(items)
        inside = time.perf_counter() - start
    values = [found["meteor"], found["rouge_l"], found["cider_d"], *found["bleu"]]
    print(json.dumps({"seconds": inside, "scores": dict(zip(METRICS, map(float, values)))}))


def timed(command):
    start = time.perf_counter()
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
    return time.perf_counter() - start, json.loads(output[output.index("{"):])


def compare(convention, folder, arguments):
    files = ["--references", str(folder / "references.json"), "--predictions", str(folder / "predictions.json")]
    ours_command = [arguments.sweep, "score", *files, "--convention", convention, "--format", "json"]
    python_command = [sys.executable, __file__, arguments.wordnet, arguments.sweep, "--stack", convention, str(folder)]
    ours, theirs, inside, worst = [], [], [], 0.0
    for _ in range(arguments.pairs):
        seconds, found = timed(python_command)
        theirs.append(seconds)
        inside.append(found["seconds"])
        seconds, own = timed(ours_command)
        ours.append(seconds)
        worst = max([worst] + [abs(own[name] - found["scores"][name]) for name in METRICS])
    ours, theirs, inside = map(statistics.median, (ours, theirs, inside))
    print(f"{convention}: sweep {ours:.3f} s; Python {theirs:.1f} s, {theirs / ours:.0f} times as long "
          f"({inside:.1f} s inside, {inside / ours:.0f} times); worst difference {worst:.1e}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wordnet")
    parser.add_argument("sweep")
    parser.add_argument("--captions", type=int, default=5000)
    parser.add_argument("--references", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stack", nargs=2, metavar=("CONVENTION", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stack:
        python_stack(arguments.stack[0], Path(arguments.stack[1]), arguments.wordnet)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_captions(Path(folder), arguments.captions, arguments.references, arguments.seed)
        print(f"{arguments.captions} captions, {arguments.references} references each, {arguments.pairs} pairs of runs")
        for convention in ("coco", "original"):
            compare(convention, Path(folder), arguments)


if __name__ == "__main__":
    main()
