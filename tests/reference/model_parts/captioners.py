"""Random captioners of many shapes, whose captions differ from image to image and end at different lengths.

Random weights alone make a captioner that says one word until `max_length`. Here the transformation before the output
head is drawn, so that what comes next has nothing to do with the last word; positions and images weigh as much as
words; the head is sharpened, so that the logits spread as widely as those of a trained model; and [SEP] is made likely
enough to end a caption every few words.
"""
import numpy as np
import torch
from transformers.models.blip.configuration_blip import BlipConfig
from transformers.models.blip.modeling_blip import BlipForConditionalGeneration

# What the models differ in. Each list is shuffled by the seed and dealt to the models in turn, so that every value
# occurs in every set of eight models, in a new combination for each seed.
SHAPES = dict(
    vision_heads=[1, 2, 3, 4, 5, 2, 3, 4], vision_head_size=[3, 5, 6, 7, 8, 9, 12, 16], vision_layers=[1, 2, 3, 4, 2, 3, 5, 1],
    vision_inner=[17, 24, 31, 40, 48, 33, 64, 20],
    # Image and patch size; one patch alone, and sizes that the patches do not cover.
    image=[(16, 4), (24, 8), (20, 5), (18, 4), (12, 3), (28, 7), (15, 15), (23, 6)],
    vision_act=["gelu", "gelu", "gelu", "gelu_new", "relu", "silu", "gelu_pytorch_tanh", "gelu"],
    vision_eps=[1e-5, 1e-6, 1e-12, 1e-3, 1e-5, 1e-5, 1e-6, 1e-5],
    text_heads=[1, 2, 3, 4, 2, 6, 3, 5], text_head_size=[4, 5, 6, 7, 8, 3, 10, 12], text_layers=[1, 2, 3, 2, 1, 4, 2, 3],
    text_inner=[19, 28, 35, 48, 56, 22, 64, 40], vocabulary=[9, 47, 60, 83, 128, 200, 331, 1009],
    positions=[16, 18, 21, 24, 32, 40, 64, 16],
    text_act=["gelu", "gelu", "gelu", "gelu", "relu", "gelu_new", "silu", "gelu_pytorch_tanh"],
    text_eps=[1e-12, 1e-12, 1e-5, 1e-6, 1e-12, 1e-3, 1e-12, 1e-5],
    # With larger gains the layers amplify what f32 rounds away, in PyTorch as well, to more than a margin of 1e-4.
    gain=[0.6, 0.8, 1.0, 1.1, 0.8, 1.0, 0.9, 1.0], spread=[1.5, 2.0, 2.5, 3.0, 2.0, 2.5, 1.5, 3.0],
    # Chance of [SEP] against one average word, times the vocabulary.
    ending=[0.1, 0.2, 0.3, 0.5, 0.8, 0.4, 0.2, 0.3],
)


def draw_shapes(count, rng):
    dealt = {key: [values[i] for i in rng.permutation(len(values))] for key, values in SHAPES.items()}
    shapes = [{key: values[i % len(values)] for key, values in dealt.items()} for i in range(count)]
    for shape in shapes:  # A norm over very few values amplifies rounding too.
        for part in ("vision", "text"):
            shape[f"{part}_heads"] = max(shape[f"{part}_heads"], -(-12 // shape[f"{part}_head_size"]))
    return shapes


def configure(shape, pad, start, end, eos, **more):
    vision = dict(
        hidden_size=shape["vision_heads"] * shape["vision_head_size"], num_attention_heads=shape["vision_heads"],
        num_hidden_layers=shape["vision_layers"], intermediate_size=shape["vision_inner"], image_size=shape["image"][0],
        patch_size=shape["image"][1], hidden_act=shape["vision_act"], layer_norm_eps=shape["vision_eps"])
    text = dict(
        hidden_size=shape["text_heads"] * shape["text_head_size"], num_attention_heads=shape["text_heads"],
        num_hidden_layers=shape["text_layers"], intermediate_size=shape["text_inner"], vocab_size=shape["vocabulary"],
        max_position_embeddings=shape["positions"], hidden_act=shape["text_act"], layer_norm_eps=shape["text_eps"],
        bos_token_id=start, sep_token_id=end, pad_token_id=pad, eos_token_id=eos, **more)
    return BlipConfig(vision_config=vision, text_config=text, **more)


def draw(name, shape, gain, rng):
    noise = rng.standard_normal(shape)
    if "norm" in name.lower():
        return 0.2 * noise + (1.0 if name.endswith("weight") else 0.0)
    if name.endswith("bias"):
        return 0.2 * noise
    if "embedding" in name and "patch" not in name:
        return noise
    return noise * gain / np.prod(shape[1:]) ** 0.5


def build(shape, rng):
    """A model with the special tokens anywhere in the vocabulary, each on its own id."""
    tokens = (int(i) for i in rng.choice(shape["vocabulary"], 4, replace=False))
    model = BlipForConditionalGeneration(configure(shape, *tokens)).eval()
    fill(model, shape, rng)
    return model


def fill(model, shape, rng):
    """Draws weights that are exact in f16, in which they are stored; by sorted name, so that they do not depend on the
    order in which transformers builds modules."""
    text = model.config.text_config
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.copy_(torch.from_numpy(draw(name, tuple(parameter.shape), shape["gain"], rng)))
        head = model.text_decoder.cls.predictions
        # Words' embeddings have variance 1, as has what the norm makes: so the logits spread by `spread`.
        scale = shape["spread"] / text.hidden_size ** 0.5
        head.transform.LayerNorm.weight *= scale
        head.transform.LayerNorm.bias *= scale
        head.decoder.bias[text.sep_token_id] = float(np.log(shape["ending"] * shape["vocabulary"]))
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())


def pixels(seed, count, size):
    """Noise that a few integer operations make, so that the images need not be stored: a hash (splitmix64) of the
    value's number gives a multiple of 1/64 in [-2, 2)."""
    with np.errstate(over="ignore"):
        x = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.arange(count * 3 * size * size, dtype=np.uint64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        x = x ^ (x >> np.uint64(31))
    values = (x >> np.uint64(56)).astype(np.float32) / 64 - 2
    return torch.from_numpy(values.reshape(count, 3, size, size))


def shake(model, amount, seed):
    """The model with every weight off by about `amount` of itself."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1 + amount * torch.from_numpy(rng.standard_normal(tuple(parameter.shape)))
    return model
