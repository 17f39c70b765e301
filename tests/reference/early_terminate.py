"""Makes tests/fixtures/early_terminate*.json: what every epoch of every run of a sweep scored, of a sweep that ran to its end.

    target/release/sweep run tests/reference/early_terminate.yaml --runs runs
    python tests/reference/early_terminate.py runs/early_terminate early_terminate.json

    target/release/sweep run tests/reference/early_terminate.yaml name=other seeds=1 search_seed=11 run_cap=12 --runs runs
    python tests/reference/early_terminate.py runs/other early_terminate_other.json

The file has a run a point: the score and the loss without smoothing after each epoch from 0, and those of each validation
image; and the score of the constant caption, which is the floor. Python 3.11, no packages.
"""

import json
import sys
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
# Of CIDEr-D, as the recipe `corrected` has it.
CIDER_WEIGHT = 0.1


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def score(row):
    return (row["meteor"] + row["rouge_l"] + CIDER_WEIGHT * row["cider_d"]) / 3


def main():
    sweep = Path(sys.argv[1])
    floor, runs = None, []
    for run in rows(sweep / "plan.jsonl"):
        folder, kind = sweep / run["id"], run["recipe"]["kind"]
        events = rows(folder / "events.jsonl")
        assert events[-1]["event"] == "ended" and events[-1]["status"] == "finished", run["id"]
        curve = sorted((event for event in events if event["event"] == "evaluated"), key=lambda event: event["epoch"])
        if kind == "constant_caption":
            floor = curve[0]["score"]
        if kind != "fine_tuned":
            continue
        image_scores, image_losses = [[] for _ in curve], [[] for _ in curve]
        for row in rows(folder / "per_image.jsonl"):
            if row["split"] == "validation":
                image_scores[row["epoch"]].append(round(score(row), 3))
                image_losses[row["epoch"]].append(round(row["loss"], 2))
        runs.append(
            {
                "id": run["id"],
                "scores": [round(event["score"], 5) for event in curve],
                "losses": [round(event["val_nll"], 5) for event in curve],
                "image_scores": image_scores,
                "image_losses": image_losses,
            }
        )
    text = json.dumps({"floor": round(floor, 5), "runs": runs}, separators=(",", ":"))
    (FIXTURES / sys.argv[2]).write_text(text.replace('{"id"', '\n{"id"') + "\n")


if __name__ == "__main__":
    main()
