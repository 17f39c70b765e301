"""Makes tests/fixtures/training/schedules.json: factors of the learning rate by transformers, update by update.

    python tests/reference/schedules.py

Pinned as in requirements.txt.
"""

import json
from pathlib import Path

import torch
from transformers import get_scheduler

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "training" / "schedules.json"


def factors(name, warmup_steps, total_steps):
    """The rates of `total_steps` updates of an optimizer whose peak rate is 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup_steps, num_training_steps=total_steps)
    found = []
    for _ in range(total_steps):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


rows = [
    {"lr_scheduler_type": name, "warmup_steps": warmup, "total_steps": total, "factors": factors(name, warmup, total)}
    for name in ["linear", "cosine", "constant", "constant_with_warmup"]
    for warmup, total in [(0, 7), (4, 20), (20, 20), (30, 11)]
]
FIXTURE.write_text(json.dumps(rows) + "\n")
