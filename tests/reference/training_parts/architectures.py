"""Random architectures and models: small, and as different from each other as BLIP's configuration allows."""
import json

import numpy as np
import torch
from transformers.models.blip.configuration_blip import BlipConfig
from transformers.models.blip.modeling_blip import BlipForConditionalGeneration

from model_parts.models import draw

EOS, SEP = 2, 3
WORDS = 4  # The first id that is a word.


def draw_architecture(rng, vision=(), text=()):
    """Sizes at random, of which some are given. [DEC] (`bos_token_id`) is the last id, the one before it plays [CLS]."""
    pick = lambda low, high: int(rng.integers(low, high + 1))
    of_vision = dict(num_attention_heads=pick(1, 4), head=pick(3, 6), num_hidden_layers=pick(2, 4), patch_size=pick(2, 6), grid=pick(2, 4))
    of_text = dict(num_attention_heads=pick(1, 4), head=pick(3, 6), num_hidden_layers=pick(1, 3), vocab_size=pick(30, 60),
                   max_position_embeddings=pick(16, 24), pad_token_id=pick(0, 1))
    of_vision.update(vision)
    of_text.update(text)
    for part, given in ((of_vision, vision), (of_text, text)):
        heads, head = part["num_attention_heads"], part.pop("head")
        # A layer norm over fewer than 8 values amplifies rounding beyond every tolerance, in PyTorch as well.
        part["hidden_size"] = heads * (head if "head" in given else max(head, -(-8 // heads)))
        part.setdefault("intermediate_size", pick(part["hidden_size"], 2 * part["hidden_size"]))
    of_vision["image_size"] = of_vision["patch_size"] * of_vision.pop("grid")
    return dict(vision=of_vision, text=dict(of_text, bos_token_id=of_text["vocab_size"] - 1, eos_token_id=EOS, sep_token_id=SEP))


def build(architecture, rng, gain=1.0):
    """A model with random weights that f16 holds exactly, so that they take half the space on disk."""
    config = BlipConfig(vision_config=architecture["vision"], text_config=architecture["text"])
    model = BlipForConditionalGeneration(config)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            values = draw(name, tuple(parameter.shape), rng) * gain
            parameter.copy_(torch.from_numpy(values).half())
    return model


def save(model, path):
    """The Hugging Face layout, in f16."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.half().save_pretrained(path)
    (path / "model.safetensors").chmod(0o644)
    (path / "generation_config.json").unlink(missing_ok=True)
    for name, value in load(path, torch.float32).state_dict().items():
        assert torch.equal(value, before[name]), f"{path.name}: {name} does not survive saving"


def load(path, dtype):
    return BlipForConditionalGeneration.from_pretrained(path, dtype=torch.float32).to(dtype)


def cls_of(model):
    """The id that plays [CLS]; the configuration has no key for it."""
    return model.config.text_config.bos_token_id - 1


def draw_captions(model, lengths, rng):
    """Token lists [CLS] words [SEP] of the given lengths."""
    return [[cls_of(model), *rng.integers(WORDS, cls_of(model), n - 2).tolist(), SEP] for n in lengths]


def draw_bytes(model, count, rng):
    """Pictures as bytes; `pixels` says what they stand for."""
    size = model.config.vision_config.image_size
    return torch.from_numpy(rng.integers(0, 256, (count, 3, size, size), dtype=np.uint8))


def pixels(of_bytes, dtype):
    return (of_bytes.to(dtype) - 128) / 64


def collate(model, captions, start, mask_padding):
    """As the processor pads: on the right, to the longest caption of the batch."""
    pad = model.config.text_config.pad_token_id
    longest = max(map(len, captions))
    ids = torch.tensor([tokens + [pad] * (longest - len(tokens)) for tokens in captions])
    mask = torch.tensor([[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in captions])
    if start == "dec":
        ids[:, 0] = model.config.text_config.bos_token_id
    labels = ids.clone()
    if mask_padding:
        labels[mask == 0] = -100
    return dict(input_ids=ids, attention_mask=mask, labels=labels)


def shape_of(path):
    """The sizes of a saved model in one line, for the log."""
    config = json.loads((path / "config.json").read_text())
    keys = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size")
    text, vision = config["text_config"], config["vision_config"]
    sizes = " ".join("/".join(str(part.get(key)) for key in keys) for part in (vision, text))
    return f"vision and text (layers/heads/width/inner) {sizes}, image {vision['image_size']}/{vision['patch_size']}, " \
           f"vocabulary {text['vocab_size']}, pad {text['pad_token_id']}"
