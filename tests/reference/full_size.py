#!/usr/bin/env python3
"""Writes random models of the size of BLIP-base and BLIP-large with what transformers makes of a few captions.

    python tests/reference/full_size.py FOLDER           4 GB of disk, 8 GB of memory, some minutes
    SWEEP_FULL_SIZE=FOLDER cargo test --release --test it full_size -- --ignored --nocapture

FOLDER/base and FOLDER/base_bin hold the same base model as `model.safetensors` and as `pytorch_model.bin`, FOLDER/large
a large one in parts. Each has `expected.safetensors`: pixels, token ids, mask and the logits, computed in f32.
"""
import json
import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from safetensors.torch import save_file
from transformers.models.blip.configuration_blip import BlipConfig
from transformers.models.blip.modeling_blip import BlipForConditionalGeneration

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
CONFIG = pathlib.Path(__file__).parent / "model_parts" / "blip_base_config.json"
LARGE_VISION = dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
LENGTHS = (14, 9)


def build(large):
    """The configuration of the hub, and weights large enough for logits of a trained model's size."""
    config = json.loads(CONFIG.read_text())
    if large:
        config["vision_config"].update(LARGE_VISION)
        config["text_config"]["encoder_hidden_size"] = LARGE_VISION["hidden_size"]
    torch.manual_seed(1 + large)
    model = BlipForConditionalGeneration(BlipConfig(**config)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "embedding" not in name:
                parameter.normal_(std=(1.5 / parameter[0].numel()) ** 0.5)
            elif "norm" not in name.lower():
                parameter.normal_(std=0.1)
    return model


@torch.no_grad()
def expect(model, folder):
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randn(len(LENGTHS), 3, 384, 384, generator=generator)
    ids = torch.randint(1000, 30000, (len(LENGTHS), max(LENGTHS)), generator=generator)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, 0], ids[row, length - 1], ids[row, length:], mask[row, :length] = 101, 102, 0, 1
    image_embeds = model.vision_model(pixels).last_hidden_state
    logits = model.text_decoder(ids, attention_mask=mask, encoder_hidden_states=image_embeds).logits
    save_file(dict(pixel_values=pixels, input_ids=ids, attention_mask=mask, logits=logits.contiguous()),
              folder / "expected.safetensors")
    print(f"{folder}: {sum(p.numel() for p in model.parameters()):,} parameters, logits within {logits.abs().max():.2f}")


def main():
    out = pathlib.Path(sys.argv[1])
    model = build(large=False)
    model.save_pretrained(out / "base")
    expect(model, out / "base")
    binary = out / "base_bin"
    binary.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(binary)
    torch.save(model.state_dict(), binary / "pytorch_model.bin")
    expect(model, binary)
    model = build(large=True)
    model.save_pretrained(out / "large", max_shard_size="500MB")
    expect(model, out / "large")


if __name__ == "__main__":
    main()
