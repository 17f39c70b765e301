"""Twelve optimizer steps: AdamW with two groups, warm-up and decay of the rate, clipping of the gradient."""
import numpy as np
import torch
from transformers.optimization import get_linear_schedule_with_warmup

from .models import WORD_EMBEDDINGS, choose_trainable, collate, draw_captions, draw_pixels, load, relative_error
from .output import write_json, write_tensors

STEPS, WARMUP, BATCH, CLIP, RATE, DECAY = 12, 4, 3, 0.5, 5e-3, 0.05
MULTIPLIERS = dict(text=0.8, vision=0.5)
TEXT_LAYER = "text_decoder.bert.encoder.layer"
STEP_RUNS = [  # name, unfrozen vision layers, start, mask_padding, smoothing, final tensors to store
    ("k0", 0, "cls", False, 0.0, [WORD_EMBEDDINGS, "text_decoder.bert.embeddings.position_embeddings.weight",
                                  f"{TEXT_LAYER}.0.crossattention.self.value.weight", "text_decoder.cls.predictions.bias"]),
    ("k1", 1, "cls", False, 0.0, [WORD_EMBEDDINGS, "vision_model.encoder.layers.2.self_attn.qkv.weight",
                                  "vision_model.encoder.layers.2.mlp.fc1.weight",
                                  f"{TEXT_LAYER}.1.crossattention.output.LayerNorm.weight"]),
    ("k1_dec_masked_smoothed", 1, "dec", True, 0.1, [WORD_EMBEDDINGS, "vision_model.encoder.layers.2.self_attn.qkv.weight",
                                                     "vision_model.encoder.layers.2.layer_norm1.weight",
                                                     "text_decoder.cls.predictions.transform.dense.weight"]),
]


def step_items(model):
    """Seven images with captions, and the batches of four epochs: 3, 3 and 1 items, in a new order each."""
    rng = np.random.default_rng(21)
    captions = draw_captions(model, [4, 8, 6, 12, 3, 7, 9], rng)
    pixels = draw_pixels(model, len(captions), rng)
    batches = []
    while len(batches) < STEPS:
        order = rng.permutation(len(captions)).tolist()
        batches += [order[first:first + BATCH] for first in range(0, len(order), BATCH)]
    return captions, pixels, batches[:STEPS]


def train(run, dtype):
    _, layers, start, mask_padding, smoothing, _ = run
    model = load("tiny", dtype).train()
    model.text_decoder.label_smoothing = smoothing
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainable = choose_trainable(model, layers, True)
    captions, pixels, batches = step_items(model)
    parts = {part: [p for n, p in model.named_parameters() if n in trainable and n.startswith(prefix)]
             for part, prefix in (("text", "text_decoder."), ("vision", "vision_model."))}
    groups = [dict(params=parts[part], lr=RATE * MULTIPLIERS[part]) for part in parts if parts[part]]
    optimizer = torch.optim.AdamW(groups, lr=RATE, weight_decay=DECAY)
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    steps = []
    for chosen in batches:
        loss = model(pixel_values=pixels[chosen], **collate(model, [captions[i] for i in chosen], start, mask_padding)).loss
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        rates = dict(zip((part for part in parts if parts[part]), (group["lr"] for group in optimizer.param_groups)))
        optimizer.step()
        schedule.step()
        steps.append(dict(learning_rates=rates, loss=float(loss.detach()), grad_norm=float(norm)))
    final = model.state_dict()
    for name in before:
        tied = name.startswith("text_decoder.cls.predictions.decoder.")
        assert tied or torch.equal(before[name], final[name]) == (name not in trainable), name
    return steps, {name: final[name] for name in trainable}


def write_steps():
    model = load("tiny", torch.float32)
    captions, pixels, batches = step_items(model)
    stored, runs = {"pixel_values": pixels}, []
    for run in STEP_RUNS:
        name, layers, start, mask_padding, smoothing, keep = run
        (steps, final), (rounded_steps, rounded) = train(run, torch.float64), train(run, torch.float32)
        assert all(step["grad_norm"] > CLIP for step in steps), "every step must clip"
        stored |= {f"{name}.final.{tensor}": final[tensor] for tensor in keep}
        error = lambda key: max(abs(r[key] - e[key]) / abs(e[key]) for r, e in zip(rounded_steps, steps))
        runs.append(dict(
            run=name, unfrozen_vision_layers=layers, train_text_decoder=True, start_token=start, mask_padding=mask_padding,
            label_smoothing=smoothing, steps=steps, final_tensors=keep,
            final_sums={tensor: dict(sum=float(value.sum()), norm=float(value.norm())) for tensor, value in final.items()
                        if not tensor.endswith((".key.bias", ".qkv.bias"))},
            pytorch_f32_error=dict(loss=error("loss"), grad_norm=error("grad_norm"), final_tensors=max(
                relative_error(rounded[tensor], final[tensor]) for tensor in keep))))
    write_tensors("tiny_steps.safetensors", stored)
    write_json("tiny_steps.json", dict(
        model="tiny", learning_rate=RATE, text_lr_multiplier=MULTIPLIERS["text"], vision_lr_multiplier=MULTIPLIERS["vision"],
        weight_decay=DECAY, betas=[0.9, 0.999], epsilon=1e-8, warmup_steps=WARMUP, total_steps=STEPS, max_grad_norm=CLIP,
        captions=captions, batches=batches, runs=runs))
