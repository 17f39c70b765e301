"""Makes tests/fixtures/lora/: adapters by peft, their gradients, twelve updates and the weights that they are merged into.

    python tests/reference/lora.py

Pinned as in requirements.txt. The model is `tiny` of model.py, in f64. Each case has the adapters it begins with, which are
drawn (peft begins with zeros in `lora_B`, behind which no gradient of `lora_A` would be seen), under the names of this program:
`MODULE.lora_A.weight`.
"""
import json
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

from model_parts.models import collate, draw_captions, draw_pixels, load

OUT = Path(__file__).resolve().parents[1] / "fixtures" / "lora"
TEXT_ATTENTION = ("self.query", "self.key", "self.value", "attention.output.dense")
CASES = [  # name, rank, alpha, targets, last vision layers, the decoder's part
    ("attention", 3, 6.0, "attention", 2, "all"),
    ("all_linear", 2, 5.0, "all-linear", 1, "all"),
    ("cross_attention", 4, 4.0, "attention", 0, "cross_attention"),
    ("last_text_layer", 2, 1.0, "all-linear", 0, 1),
]
# At ten times the rate, PyTorch in f32 leaves PyTorch in f64 by a fifth of the loss; at this one, by 4e-6.
STEPS, RATE, DECAY = 12, 2e-3, 0.05


def modules(model, targets, vision_layers, text):
    """Names of the linear layers that get adapters."""
    depth, text_depth = len(model.vision_model.encoder.layers), len(model.text_decoder.bert.encoder.layer)
    names = []
    for name, module in model.named_modules():
        if not isinstance(module, torch.nn.Linear) or name.endswith("predictions.decoder"):
            continue
        parts = name.split(".")
        if name.startswith("vision_model.encoder.layers."):
            chosen = int(parts[3]) >= depth - vision_layers
            is_attention = ".self_attn." in name
        elif name.startswith("text_decoder.bert.encoder.layer."):
            first = text_depth - text if isinstance(text, int) else 0
            chosen = int(parts[4]) >= first and (text != "cross_attention" or ".crossattention." in name)
            is_attention = name.endswith(TEXT_ATTENTION)
        elif name.startswith("text_decoder."):
            chosen, is_attention = text == "all", False
        else:
            continue
        if chosen and (is_attention or targets == "all-linear"):
            names.append(name)
    return names


def ours(name):
    return name.removeprefix("base_model.model.").replace(".default.", ".")


def write(case, number):
    name, rank, alpha, targets, vision_layers, text = case
    base = load("tiny", torch.float64)
    chosen = modules(base, targets, vision_layers, text)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=chosen)
    model = get_peft_model(base, config).train().to(torch.float64)
    rng = np.random.default_rng([9, number])
    adapters = {key: value for key, value in sorted(model.named_parameters()) if value.requires_grad}
    assert len(adapters) == 2 * len(chosen)
    with torch.no_grad():
        for value in adapters.values():
            # As f32 on disk, so that the other program begins with the same.
            value.copy_(torch.from_numpy((0.3 * rng.standard_normal(tuple(value.shape))).astype(np.float32)))
    tensors = {f"init.{ours(key)}": value.detach().clone() for key, value in adapters.items()}
    captions = draw_captions(base, [9, 4, 7, 12, 5, 8], rng)
    pixels = draw_pixels(base, len(captions), rng)
    tensors["pixel_values"] = pixels.clone()
    optimizer = torch.optim.AdamW(adapters.values(), lr=RATE, weight_decay=DECAY)
    losses = []
    for step in range(STEPS):
        rows = [(3 * step + i) % len(captions) for i in range(3)]
        batch = collate(base, [captions[i] for i in rows], "dec", True)
        loss = model(pixel_values=pixels[rows].double(), **batch).loss
        optimizer.zero_grad()
        loss.backward()
        losses.append(float(loss.detach()))
        if step == 0:
            tensors |= {f"grad.{ours(key)}": value.grad.clone() for key, value in adapters.items()}
        optimizer.step()
    tensors |= {f"final.{ours(key)}": value.detach().clone() for key, value in adapters.items()}
    merged = model.merge_and_unload().state_dict()
    tensors |= {f"merged.{module}.weight": merged[f"{module}.weight"] for module in chosen}
    save_file({key: value.float().contiguous() for key, value in tensors.items()}, OUT / f"{name}.safetensors")
    return dict(case=name, lora_rank=rank, lora_alpha=alpha, lora_targets=targets, unfrozen_vision_layers=vision_layers,
                trainable_text="cross_attention" if text == "cross_attention" else "all",
                trainable_text_layers=text if isinstance(text, int) else 0, modules=chosen, captions=captions, losses=losses)


OUT.mkdir(exist_ok=True)
cases = [write(case, number) for number, case in enumerate(CASES)]
text = json.dumps(dict(model="tiny", learning_rate=RATE, weight_decay=DECAY, cases=cases))
(OUT / "cases.json").write_text(text + "\n")
for case in cases:
    print(f"{case['case']}: {len(case['modules'])} modules, losses {case['losses'][0]:.3f} to {case['losses'][-1]:.3f}")
