"""A hundred optimizer steps in every mode of training: AdamW with two groups, warm-up from 0, decay, clipping now and then."""
import itertools
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from transformers.optimization import get_linear_schedule_with_warmup

from model_parts.models import choose_trainable

from .architectures import build, collate, draw_architecture, draw_bytes, draw_captions, load, pixels, save, shape_of
from .dropout import Masks, drop
from .output import rounded
from .sketch import sketch

STEPS, WARMUP = 100, 10
GAIN = 0.7  # of the random weights: sharper models amplify rounding until no two programs agree.
# Where PyTorch in f32 strays further than this from PyTorch in f64, an agreement to 1e-4 would be luck: the rate is halved.
COMPARABLE = 1e-5
MODELS = [  # name, vision sizes, text sizes, batch size, examples; all vision layers are more than 3
    ("small", dict(num_hidden_layers=4, num_attention_heads=3, head=4), dict(num_attention_heads=1, head=13), 3, 10),
    ("deep", dict(num_hidden_layers=6, num_attention_heads=2, head=7), dict(num_hidden_layers=4, num_attention_heads=3, head=4), 4, 9),
    ("wide", dict(num_hidden_layers=4, num_attention_heads=2, head=11), dict(num_hidden_layers=1, num_attention_heads=3, head=9), 2, 7),
    ("fine", dict(num_hidden_layers=4, num_attention_heads=4, patch_size=3, grid=6), dict(num_hidden_layers=2, num_attention_heads=4, head=5), 3, 8),
    ("long", dict(num_hidden_layers=5, num_attention_heads=1, head=16), dict(num_hidden_layers=2, num_attention_heads=2, head=8, max_position_embeddings=40), 4, 11),
]
MODES = list(itertools.product((0, 3, "all"), (False, True), ("cls", "dec"), (0.0, 0.1), (0.0, 0.05)))
GROUPS = dict(text="text_decoder.", vision="vision_model.")


def draw_run(number, model, rng, batch_size, examples):
    """The rates and the order of the batches: epochs in a new order each, the last batch of which is smaller."""
    batches = []
    while len(batches) < STEPS:
        order = rng.permutation(examples).tolist()
        batches += [order[first:first + batch_size] for first in range(0, examples, batch_size)]
    return dict(
        learning_rate=float(rng.choice([3e-4, 1e-3])), text_lr_multiplier=float(rng.choice([1.0, 0.7])),
        vision_lr_multiplier=float(rng.choice([0.1, 0.5, 1.0])), warmup_steps=WARMUP, total_steps=STEPS, batches=batches[:STEPS])


def train(path, run, captions, of_bytes, dtype):
    """Losses and gradient norms of all steps, and what weights and moments they end with."""
    model = load(path, dtype).train()
    model.text_decoder.label_smoothing = run["label_smoothing"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainable = choose_trainable(model, run["unfrozen_vision_layers"], True)
    masks = Masks(run["seed"], run["dropout"])
    if run["dropout"] > 0:
        drop(model, masks, run["unfrozen_vision_layers"])
    parts = {part: [p for n, p in model.named_parameters() if n in trainable and n.startswith(prefix)] for part, prefix in GROUPS.items()}
    groups = [dict(params=parts[part], lr=run["learning_rate"] * run[f"{part}_lr_multiplier"]) for part in parts if parts[part]]
    optimizer = torch.optim.AdamW(groups, weight_decay=run["weight_decay"])
    schedule = get_linear_schedule_with_warmup(optimizer, run["warmup_steps"], run["total_steps"])
    inputs = pixels(of_bytes, dtype)
    losses, norms = [], []
    for step, chosen in enumerate(run["batches"]):
        masks.step = step
        batch = collate(model, [captions[i] for i in chosen], run["start_token"], run["mask_padding"])
        loss = model(pixel_values=inputs[chosen], **batch).loss
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), run["max_grad_norm"])))
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    after = dict(model.named_parameters())
    for name in before.keys() & after.keys():
        assert torch.equal(before[name], after[name]) == (name not in trainable), name
    moments = {name: optimizer.state[after[name]] for name in trainable}
    return dict(losses=losses, norms=norms, weights={name: after[name].detach() for name in sorted(trainable)},
                first={name: moments[name]["exp_avg"] for name in sorted(trainable)},
                second={name: moments[name]["exp_avg_sq"] for name in sorted(trainable)})


def is_key_bias(name):
    """In f32 the noise of their gradient, which is 0, moves them; they change no loss. Of `qkv.bias` it is the middle third."""
    return name.endswith((".key.bias", ".qkv.bias"))


def errors(found, exact):
    relative = lambda key: max(abs(f / e - 1) for f, e in zip(found[key], exact[key]))
    drift = lambda part, keep: max((float((found[part][n].double() - e).norm() / e.norm()) for n, e in exact[part].items() if keep(n)), default=0.0)
    others = lambda name: not is_key_bias(name)
    return dict(loss=relative("losses"), grad_norm=relative("norms"), weights=drift("weights", others),
                key_biases=drift("weights", is_key_bias), first=drift("first", others), second=drift("second", others))


def write_run(folder, name, run, captions, of_bytes):
    path = folder.path / "models" / run["model"]
    run["max_grad_norm"] = middle(train(path, dict(run, batches=run["batches"][:10], max_grad_norm=1e9), captions, of_bytes, torch.float32))
    while True:
        exact = train(path, run, captions, of_bytes, torch.float64)
        clipped = sum(norm > run["max_grad_norm"] for norm in exact["norms"])
        if not 10 <= clipped <= STEPS - 10:
            run["max_grad_norm"] = middle(exact)
            continue
        error = errors(train(path, run, captions, of_bytes, torch.float32), exact)
        if max(error["loss"], error["grad_norm"]) < COMPARABLE:
            break
        print(f"{name}: at a rate of {run['learning_rate']} PyTorch in f32 is off by {error['grad_norm']:.1e}")
        run["learning_rate"] /= 2
    for part in ("weights", "first", "second"):
        exact[part] = torch.stack([sketch(value) for value in exact[part].values()])
    folder.write_tensors(f"steps/{name}.safetensors.gz", {part: exact[part] for part in ("weights", "first", "second")})
    print(f"{name}: {run['model']}, {clipped} steps clip, losses {exact['losses'][0]:.3f} to {exact['losses'][-1]:.3f}; PyTorch in f32: "
          + ", ".join(f"{key} {value:.1e}" for key, value in error.items()), flush=True)
    return dict(run, run=name, losses=[rounded(x) for x in exact["losses"]], grad_norms=[rounded(x) for x in exact["norms"]],
                pytorch_f32_error={key: rounded(value) for key, value in error.items()})


def middle(trained):
    """A bound that clips about half of the steps."""
    return float(f"{np.median(trained['norms']):.3g}")


def write_steps(folder, seed, jobs, count):
    items, tasks = {}, []
    for number, (name, vision, text, batch_size, examples) in enumerate(MODELS):
        rng = np.random.default_rng([seed, 2, number])
        path = folder.path / "models" / name
        save(build(draw_architecture(rng, vision, text), rng, GAIN), path)
        model = load(path, torch.float32)
        longest = model.config.text_config.max_position_embeddings
        captions = draw_captions(model, [longest, 3, *rng.integers(3, longest + 1, examples - 2).tolist()], rng)
        items[name] = (captions, draw_bytes(model, examples, rng), model.config.vision_config.num_hidden_layers, batch_size)
        print(f"{name}: {shape_of(path)}, batches of {batch_size} of {examples}")
    modes = [(*mode, 0.0) for mode in MODES] + [(layers, mask, start, 0.1, 0.05, 0.1)
                                                for layers, mask, start in ((0, True, "dec"), (3, False, "cls"), ("all", True, "dec"), ("all", False, "cls"))]
    names = itertools.cycle(np.random.default_rng([seed, 3]).permutation(list(items)).tolist())
    for number, (layers, mask_padding, start, smoothing, decay, dropout) in enumerate(modes):
        rng = np.random.default_rng([seed, 4, number])
        model = next(names)
        captions, of_bytes, depth, batch_size = items[model]
        name = f"{layers}_{'masked' if mask_padding else 'padded'}_{start}_smoothing{smoothing}_decay{decay}" + (f"_dropout{dropout}" if dropout else "")
        run = dict(model=model, unfrozen_vision_layers=depth if layers == "all" else layers, mask_padding=mask_padding, start_token=start,
                   label_smoothing=smoothing, weight_decay=decay, dropout=dropout, seed=int(rng.integers(2**40)),
                   **draw_run(number, model, rng, batch_size, len(captions)))
        tasks.append((folder, name, run, captions, of_bytes))
    chosen = sorted(np.random.default_rng([seed, 5]).permutation(len(tasks))[:count].tolist()) if count else range(len(tasks))
    tasks = [tasks[number] for number in chosen]
    with ProcessPoolExecutor(jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        runs = list(pool.map(write_run, *zip(*tasks)))
    for name, (captions, of_bytes, _, _) in items.items():
        folder.write_tensors(f"items/{name}.safetensors.gz", dict(pictures=of_bytes))
    folder.write_json("steps.json.gz", dict(betas=[0.9, 0.999], epsilon=1e-8, captions={name: item[0] for name, item in items.items()}, runs=runs))
    worst = {key: max(run["pytorch_f32_error"][key] for run in runs) for key in runs[0]["pytorch_f32_error"]}
    print("PyTorch in f32 against f64, worst of all runs: " + ", ".join(f"{key} {value:.1e}" for key, value in worst.items()))
