"""One forward and backward pass in every mode of training: loss, logits and the gradient of each trainable tensor."""
import json

import numpy as np
import torch

from .models import choose_trainable, collate, draw_captions, draw_pixels, load, relative_error, without_key_bias
from .output import OUT, write_json, write_tensors

GRADIENT_CASES = [  # file, model, unfrozen vision layers, text decoder trains, start, mask_padding, smoothing
    ("tiny_k0", "tiny", 0, True, "cls", False, 0.0),
    ("tiny_k1", "tiny", 1, True, "cls", False, 0.0),
    ("tiny_k3", "tiny", 3, True, "cls", False, 0.0),
    ("tiny_k0_masked", "tiny", 0, True, "cls", True, 0.0),
    ("tiny_k1_dec_masked", "tiny", 1, True, "dec", True, 0.0),
    ("tiny_k1_smoothed", "tiny", 1, True, "cls", False, 0.1),
    ("tiny_k2_dec_masked_smoothed", "tiny", 2, True, "dec", True, 0.1),
    ("tiny_k1_vision_only", "tiny", 1, False, "cls", False, 0.0),
    ("tiny_k3_vision_only_dec_masked_smoothed", "tiny", 3, False, "dec", True, 0.1),
    ("tiny2_k2", "tiny2", 2, True, "cls", False, 0.0),
    ("tiny2_k4_dec_masked_smoothed", "tiny2", 4, True, "dec", True, 0.1),
    ("tiny2_k1_vision_only", "tiny2", 1, False, "cls", False, 0.0),
]
CAPTION_LENGTHS = {"tiny": [9, 3, 6, 11], "tiny2": [5, 10, 7]}


def backward(case, dtype):
    """One forward and backward pass: inputs, logits, loss, image embeddings and all gradients."""
    _, name, layers, text, start, mask_padding, smoothing = case
    model = load(name, dtype).train()  # all dropouts are 0
    model.text_decoder.label_smoothing = smoothing
    rng = np.random.default_rng([7, len(name)])
    captions = draw_captions(model, CAPTION_LENGTHS[name], rng)
    batch = dict(pixel_values=draw_pixels(model, len(captions), rng), **collate(model, captions, start, mask_padding))
    trainable = choose_trainable(model, layers, text)
    out = model(**batch)
    out.loss.backward()
    found = dict(batch, loss=out.loss.detach(), logits=out.logits.detach(), image_embeds=out.image_embeds.detach())
    for parameter_name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (parameter_name in trainable), parameter_name
        if parameter.grad is not None:
            found[f"grad.{parameter_name}"] = parameter.grad
    if layers == len(model.vision_model.encoder.layers) and text:
        found |= vision_states(model, batch["pixel_values"], out.image_embeds)
    return found


@torch.no_grad()
def vision_states(model, pixels, image_embeds):
    """`vision_hidden.N`: the state after N encoder layers; N = 0 is the embeddings."""
    hidden = model.vision_model.embeddings(pixels)
    states = {"vision_hidden.0": hidden}
    for number, layer in enumerate(model.vision_model.encoder.layers):
        hidden = layer(hidden)
        states[f"vision_hidden.{number + 1}"] = hidden
    assert torch.equal(model.vision_model.post_layernorm(hidden), image_embeds)
    return states


def check_gradients(exact):
    for key, value in exact.items():
        if key.startswith("grad."):
            tested = without_key_bias(key, value)
            assert torch.isfinite(value).all()
            assert tested.numel() == 0 or tested.abs().max() > 1e-4, f"{key} is too small to test"
            if key.endswith(".key.bias"):
                assert value.abs().max() < 1e-12, key
            if key.endswith(".qkv.bias"):
                assert value.chunk(3)[1].abs().max() < 1e-12, key


def write_gradients():
    (OUT / "gradients").mkdir()
    index = []
    for case in GRADIENT_CASES:
        exact, rounded = backward(case, torch.float64), backward(case, torch.float32)
        check_gradients(exact)
        error = lambda part: max(relative_error(without_key_bias(key, rounded[key]), without_key_bias(key, exact[key]))
                                 for key in exact if key.startswith(part))
        settings = dict(zip(("case", "model", "unfrozen_vision_layers", "train_text_decoder", "start_token", "mask_padding",
                             "label_smoothing"), case))
        index.append(dict(settings, loss=float(exact["loss"]),
                          pytorch_f32_error={part.rstrip("."): error(part) for part in ("loss", "logits", "image_embeds", "grad.")}))
        write_tensors(f"gradients/{case[0]}.safetensors", exact, dict(settings=json.dumps(settings)))
    write_json("gradients.json", index)
