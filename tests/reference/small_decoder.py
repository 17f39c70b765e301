"""Makes tests/fixtures/small_decoder/: a caption decoder of torch.nn.GRUCell and additive attention, its losses and gradients.

    python tests/reference/small_decoder.py

Pinned as in requirements.txt, in f64. The tensors have the names of this program; the cell's input is the word beside what was
seen, so that its weight is two of ours side by side.
"""
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parents[1] / "fixtures" / "small_decoder"
VOCABULARY, WIDTH, PATCHES = 20, 10, 7
HIDDEN, EMBEDDING, ATTENTION = 12, 6, 5
PIECES = [0, 2, 3, 5, 8, 9, 13, 19]  # all others share a row
# Start, words, end; 11 and 4 are among the others, and the second caption is padded.
CAPTIONS = [[19, 5, 8, 11, 5, 3], [19, 13, 4, 3, 0, 0]]

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
ROWS = len(PIECES) + 1


class Decoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(ROWS, EMBEDDING)
        self.start = torch.nn.Linear(WIDTH, HIDDEN)
        self.key = torch.nn.Linear(WIDTH, ATTENTION)
        self.query = torch.nn.Linear(HIDDEN, ATTENTION)
        self.scale = torch.nn.Linear(ATTENTION, 1, bias=False)
        self.cell = torch.nn.GRUCell(EMBEDDING + WIDTH, HIDDEN)
        self.head = torch.nn.Linear(HIDDEN, ROWS)
        places = torch.full((VOCABULARY,), len(PIECES))
        places[PIECES] = torch.arange(len(PIECES))
        self.register_buffer("places", places)

    def forward(self, ids, features):
        state = torch.tanh(self.start(features.mean(1)))
        logits = []
        for token in ids.T:
            scores = self.scale(torch.tanh(self.key(features) + self.query(state)[:, None]))
            weights = torch.softmax(scores, 1)
            seen = (weights * features).sum(1)
            state = self.cell(torch.cat([self.words(self.places[token]), seen], 1), state)
            logits.append(self.head(state)[:, self.places])
        return torch.stack(logits, 1)


def ours(tensors):
    """Under the names of this program."""
    weight_ih, bias_ih = tensors["cell.weight_ih"], tensors["cell.bias_ih"]
    named = {
        "embeddings.weight": tensors["words.weight"],
        "attention.scale": tensors["scale.weight"][0],
        "gates.word.weight": weight_ih[:, :EMBEDDING], "gates.word.bias": bias_ih,
        "gates.seen.weight": weight_ih[:, EMBEDDING:],
        "gates.state.weight": tensors["cell.weight_hh"], "gates.state.bias": tensors["cell.bias_hh"],
    }
    for name, module in [("start", "start"), ("attention.key", "key"), ("attention.query", "query"), ("head", "head")]:
        named |= {f"{name}.{part}": tensors[f"{module}.{part}"] for part in ("weight", "bias")}
    return {f"text_decoder.{name}": value for name, value in named.items()}


model = Decoder()
with torch.no_grad():
    for value in model.parameters():
        # As f32 on disk, so that the other program begins with the same.
        value.copy_((0.6 * torch.randn_like(value)).float())
features = torch.randn(len(CAPTIONS), PATCHES, WIDTH).float().double()
ids = torch.tensor(CAPTIONS)
logits = model(ids[:, :-1], features)
targets = ids[:, 1:].clone()
targets[targets == 0] = -100
loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
loss.backward()
tensors = ours(dict(model.named_parameters()))
zeros = torch.zeros_like(tensors["text_decoder.gates.word.bias"])
tensors["text_decoder.gates.seen.bias"] = zeros
tensors["text_decoder.pieces"] = torch.tensor(PIECES)
gradients = ours({name: value.grad for name, value in model.named_parameters()})
saved = tensors | {f"grad.{name}": value for name, value in gradients.items()}
saved |= {"features": features, "logits": logits.detach()}

# One step of the cell alone.
state, given = torch.randn(3, HIDDEN).float().double(), torch.randn(3, EMBEDDING + WIDTH).float().double()
state.requires_grad_(True)
model.zero_grad()
after = model.cell(given, state)
(after * torch.arange(after.numel()).reshape(after.shape)).sum().backward()
saved |= {"cell.state": state.detach(), "cell.input": given, "cell.after": after.detach(), "cell.grad.state": state.grad,
          "cell.grad.weight_ih": model.cell.weight_ih.grad, "cell.grad.weight_hh": model.cell.weight_hh.grad}

OUT.mkdir(exist_ok=True)
save_file({key: value.detach().float().contiguous() for key, value in saved.items()}, OUT / "decoder.safetensors")
case = dict(vocabulary=VOCABULARY, width=WIDTH, patches=PATCHES, hidden=HIDDEN, embedding=EMBEDDING, attention=ATTENTION,
            pieces=len(PIECES), captions=CAPTIONS, loss=float(loss.detach()))
(OUT / "case.json").write_text(json.dumps(case) + "\n")
print(f"loss {float(loss.detach()):.6f}, {sum(value.numel() for value in model.parameters())} parameters")
