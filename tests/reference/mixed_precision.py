"""Makes tests/fixtures/mixed_precision/: what torch rounds to half, and how torch.amp.GradScaler scales losses.

    python tests/reference/mixed_precision.py

Pinned as in requirements.txt.
"""

import json
from pathlib import Path

import torch

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "mixed_precision"


def halves():
    """Pairs of bits: values of f32, and what `.half()` makes of them, as f32 again."""
    around = []
    # Values of half, what lies halfway to the next, and the f32 beside that, in both directions.
    codes = torch.arange(0, 0x7C00, 151, dtype=torch.int32).to(torch.int16)
    values = codes.view(torch.float16).float()
    nexts = (codes + 1).view(torch.float16).float()
    for value, after in zip(values.tolist(), nexts.tolist()):
        middle = torch.tensor((value + after) / 2 if after != float("inf") else 65520.0)
        bits = middle.view(torch.int32).item()
        around += [torch.tensor(value).view(torch.int32).item(), bits - 1, bits, bits + 1]
    edges = [0.0, 1e-45, 2.0**-25, 2.0**-25 * 1.0001, 2.0**-24, 2.0**-14, 65504.0, 65519.996, 65520.0, 7e4, 3.4e38, float("inf")]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(200, generator=generator) * 10.0 ** torch.empty(200).uniform_(-9, 6, generator=generator)
    sizes = torch.cat([torch.tensor(around, dtype=torch.int32).view(torch.float32), torch.tensor(edges), drawn])
    signed = torch.cat([sizes, -sizes])
    unsigned = lambda tensor: [bits & 0xFFFFFFFF for bits in tensor.view(torch.int32).tolist()]
    return list(zip(unsigned(signed), unsigned(signed.half().float())))


def course(steps, not_finite):
    """A parameter under GradScaler's defaults, whose gradient is infinite in some of the updates."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scaler = torch.amp.GradScaler("cpu")
    skipped, changes = [], [[-1, scaler.get_scale()]]
    for step in range(steps):
        optimizer.zero_grad()
        scaler.scale((weight * (float("inf") if step in not_finite else 1e-3)).sum()).backward()
        scaler.unscale_(optimizer)
        before = weight.item()
        scaler.step(optimizer)
        scaler.update()
        if weight.item() == before:
            skipped.append(step)
        if scaler.get_scale() != changes[-1][1]:
            changes.append([step, scaler.get_scale()])
    return {"steps": steps, "not_finite": not_finite, "skipped": skipped, "changes": changes[1:]}


FOLDER.mkdir(parents=True, exist_ok=True)
(FOLDER / "halves.json").write_text(json.dumps(halves(), separators=(",", ":")) + "\n")
courses = [course(12, [0, 1, 5, 7, 11]), course(2005, [2002]), course(4100, [1500, 1501, 3502])]
(FOLDER / "scaler.json").write_text(json.dumps(courses, separators=(",", ":")) + "\n")
