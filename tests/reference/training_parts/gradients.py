"""One forward and backward pass on many architectures, with and without dropout: loss and the gradient of every tensor."""
import numpy as np
import torch

from model_parts.models import choose_trainable

from .architectures import build, collate, draw_architecture, draw_bytes, draw_captions, load, pixels, save, shape_of
from .dropout import Masks, drop
from .output import norm, rounded

# Each has one thing that is out of the ordinary; all else is drawn.
CASES = [  # name, vision sizes, text sizes, caption lengths
    ("one_head", dict(num_attention_heads=1), dict(num_attention_heads=1), (7, 4, 9)),
    ("heads_of_one", dict(num_attention_heads=9, head=1), dict(num_attention_heads=7, head=1), (5, 8)),
    ("one_layer", dict(num_hidden_layers=1), dict(num_hidden_layers=1), (6, 6, 3, 10)),
    ("odd_widths", dict(num_attention_heads=1, head=19, num_hidden_layers=1, intermediate_size=23),
     dict(num_attention_heads=3, head=7, num_hidden_layers=1, intermediate_size=37), (5, 12, 3)),
    ("batch_of_one", {}, {}, (9,)),
    ("two_tokens", {}, {}, (2, 2, 2)),
    ("equal_lengths", dict(num_hidden_layers=2, num_attention_heads=2), dict(num_attention_heads=2), (6, 6, 6)),
    ("full_length", {}, dict(max_position_embeddings=16, num_hidden_layers=3), (16, 2, 16)),
    ("one_patch", dict(grid=1, patch_size=5), dict(pad_token_id=1), (4, 7, 2)),
]


HALF_UNIT = 2.0**-24  # half a unit in the last place of an f32, relative


def move_weights(model, seed):
    """Moves every weight by at most half a unit in its last place as an f32: by no more than writing it to disk may."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1 + HALF_UNIT * (2 * torch.rand(weight.shape, generator=draw, dtype=torch.float64) - 1))


def backward(path, case, captions, of_bytes, dtype, moved=None):
    model = load(path, dtype).train()
    if moved is not None:
        move_weights(model, moved)
    model.text_decoder.label_smoothing = case["label_smoothing"]
    trainable = choose_trainable(model, case["unfrozen_vision_layers"], case["train_text_decoder"])
    if case["dropout"] > 0:
        masks = Masks(case["seed"], case["dropout"])
        masks.step = case["step"]
        drop(model, masks, case["unfrozen_vision_layers"])
    out = model(pixel_values=pixels(of_bytes, dtype), **collate(model, captions, case["start_token"], case["mask_padding"]))
    out.loss.backward()
    return float(out.loss.detach()), {name: p.grad for name, p in model.named_parameters() if name in trainable}


def gradient_error(found, exact):
    """The largest difference of a tensor's gradient, as the tests measure it: 1 is what they allow."""
    whole = sum(norm(value) ** 2 for value in exact.values()) ** 0.5
    return max(norm(found[name].double() - value) / (1e-4 * norm(value) + 1e-7 * whole) for name, value in exact.items())


def write_gradients(folder, seed):
    index = []
    for number, (name, vision, text, lengths) in enumerate(CASES):
        rng = np.random.default_rng([seed, 1, number])
        path = folder.path / "models" / name
        save(build(draw_architecture(rng, vision, text), rng), path)
        model = load(path, torch.float32)
        captions = draw_captions(model, lengths, rng)
        of_bytes = draw_bytes(model, len(captions), rng)
        depth = model.config.vision_config.num_hidden_layers
        for dropout in (0.0, float(rng.choice([0.1, 0.25, 0.5]))):
            case = dict(
                case=f"{name}_dropout" if dropout else name, model=name, unfrozen_vision_layers=int(rng.integers(1, depth + 1)),
                train_text_decoder=True, start_token=str(rng.choice(["cls", "dec"])), mask_padding=bool(rng.integers(2)),
                label_smoothing=float(rng.choice([0.0, 0.1])), dropout=dropout, seed=int(rng.integers(2**40)), step=int(rng.integers(1000)))
            (loss, exact), (f32_loss, f32) = (backward(path, case, captions, of_bytes, dtype) for dtype in (torch.float64, torch.float32))
            error = dict(loss=abs(f32_loss / loss - 1), gradients=gradient_error(f32, exact))
            # How much the case itself amplifies rounding: exact arithmetic from weights that are rounded otherwise.
            moved = [backward(path, case, captions, of_bytes, torch.float64, draw) for draw in range(8)]
            conditioning = dict(loss=max(abs(other / loss - 1) for other, _ in moved), gradients=max(gradient_error(g, exact) for _, g in moved))
            index.append(dict(
                case, captions=captions, loss=rounded(loss), pytorch_f32_error={k: rounded(v) for k, v in error.items()},
                conditioning={k: rounded(v) for k, v in conditioning.items()}))
            stored = {f"grad.{tensor}": value for tensor, value in exact.items()}
            folder.write_tensors(f"gradients/{case['case']}.safetensors.gz", dict(stored, pictures=of_bytes))
            print(f"{case['case']}: {shape_of(path)}; PyTorch in f32: loss {error['loss']:.1e}, gradients {error['gradients']:.3f} of what is allowed; weights "
                  f"moved by half a unit: {conditioning['gradients']:.3f}")
    folder.write_json("gradients.json.gz", index)
