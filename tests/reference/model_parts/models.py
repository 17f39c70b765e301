"""The tiny models, their batches, and the choice of what trains."""
import numpy as np
import torch
from transformers.models.blip.configuration_blip import BlipConfig
from transformers.models.blip.modeling_blip import BlipForConditionalGeneration

from .output import OUT

PAD, EOS, SEP = 0, 2, 3
WORD_EMBEDDINGS = "text_decoder.bert.embeddings.word_embeddings.weight"

# As in BLIP's vocabulary [DEC] (`bos_token_id`) is the second last row. The row before it plays [CLS]; words are 4 and up.
TINY = dict(
    vision=dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=3, image_size=16, patch_size=4),
    text=dict(hidden_size=16, intermediate_size=36, num_hidden_layers=2, num_attention_heads=2, vocab_size=47,
              max_position_embeddings=24, bos_token_id=45),
)
# Head dimensions 10 (vision) and 6 (text), a patch grid of 3 x 3, a text model wider than the vision model.
TINY2 = dict(
    vision=dict(hidden_size=20, intermediate_size=28, num_hidden_layers=4, num_attention_heads=2, image_size=24, patch_size=8),
    text=dict(hidden_size=24, intermediate_size=44, num_hidden_layers=3, num_attention_heads=4, vocab_size=53,
              max_position_embeddings=20, bos_token_id=51),
)


def build(architecture):
    text = dict(architecture["text"], eos_token_id=EOS, sep_token_id=SEP, pad_token_id=PAD)
    return BlipForConditionalGeneration(BlipConfig(vision_config=architecture["vision"], text_config=text))


def draw(name, shape, rng):
    """A weight large enough that every gradient stands well clear of rounding; biases and norms are random too."""
    noise = rng.standard_normal(shape)
    if "norm" in name.lower():
        return 0.2 * noise + (1.0 if name.endswith("weight") else 0.0)
    if name.endswith("bias"):
        return 0.2 * noise
    if "embedding" in name and "patch" not in name:
        return 0.5 * noise
    gain = 2.0 if any(part in name for part in ("query", "key", "qkv")) else 1.3
    return noise * gain / np.prod(shape[1:]) ** 0.5


def randomise(model, seed):
    """Draws by sorted name, so that the weights do not depend on the order in which transformers builds modules."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.copy_(torch.from_numpy(draw(name, tuple(parameter.shape), rng)))


def save(model, name):
    folder = OUT / name
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    back = load(name, torch.float32)
    tied = back.text_decoder.cls.predictions.decoder.weight
    assert tied is back.text_decoder.bert.embeddings.word_embeddings.weight
    for key, value in model.state_dict().items():
        assert torch.equal(value, back.state_dict()[key]), f"{name}: {key} does not survive saving"


def load(name, dtype):
    return BlipForConditionalGeneration.from_pretrained(OUT / name, dtype=torch.float32).to(dtype)


def cls_of(model):
    """The id that plays [CLS]; the configuration has no key for it."""
    return model.config.text_config.bos_token_id - 1


def draw_captions(model, lengths, rng):
    """Token lists [CLS] words [SEP] of the given lengths."""
    words = lambda n: rng.integers(SEP + 1, cls_of(model), n).tolist()
    return [[cls_of(model), *words(length - 2), SEP] for length in lengths]


def draw_pixels(model, count, rng):
    size = model.config.vision_config.image_size
    return torch.from_numpy(rng.standard_normal((count, 3, size, size)).astype(np.float32))


def collate(model, captions, start, mask_padding):
    """As the processor pads: on the right with id 0, to the longest caption of the batch."""
    longest = max(map(len, captions))
    ids = torch.tensor([tokens + [PAD] * (longest - len(tokens)) for tokens in captions])
    mask = torch.tensor([[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in captions])
    if start == "dec":
        ids[:, 0] = model.config.text_config.bos_token_id
    labels = ids.clone()
    if mask_padding:
        labels[mask == 0] = -100
    return dict(input_ids=ids, attention_mask=mask, labels=labels)


def choose_trainable(model, unfrozen_vision_layers, train_text_decoder):
    """Of the vision model only the last encoder layers train; returns the names of what trains."""
    layers = model.vision_model.encoder.layers
    model.requires_grad_(False)
    model.text_decoder.requires_grad_(train_text_decoder)
    layers[len(layers) - unfrozen_vision_layers:].requires_grad_(True)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def without_key_bias(name, value):
    """A key's bias adds the same number to all scores of a query: its gradient is zero, and noise in f32."""
    if name.endswith(".key.bias"):
        return value[:0]
    if name.endswith(".qkv.bias"):
        query, _, other = value.chunk(3)
        return torch.cat([query, other])
    return value


def relative_error(found, exact):
    """Largest difference, relative to the largest exact value."""
    if exact.numel() == 0:
        return 0.0
    return float((found.double() - exact.double()).abs().max() / exact.double().abs().max())
