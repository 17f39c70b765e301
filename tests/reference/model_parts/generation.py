"""Greedy and beam search under many settings, with a model that has learnt to caption noisy pictures."""
import numpy as np
import torch
from transformers.optimization import get_linear_schedule_with_warmup

from .models import PAD, SEP, TINY, build, cls_of, collate, load, randomise, save
from .output import write_json, write_tensors

THE, STOP, WITH, AND = 30, 31, 32, 33
BASE = dict(num_beams=5, max_length=14, min_length=0, no_repeat_ngram_size=0, length_penalty=1.0, early_stopping=False,
            repetition_penalty=1.0)
WHEN_TO_STOP = (True, False, "never")
SETTINGS = [BASE | changed for changed in (
    dict(num_beams=1), dict(num_beams=1, no_repeat_ngram_size=2), dict(num_beams=1, repetition_penalty=1.3),
    dict(num_beams=1, min_length=8, max_length=12, no_repeat_ngram_size=3, repetition_penalty=1.1),
    dict(num_beams=3), dict(num_beams=3, length_penalty=0.0), dict(num_beams=3, length_penalty=2.0, early_stopping="never"),
    dict(), dict(early_stopping=True), dict(early_stopping="never"),
    dict(length_penalty=0.0), dict(length_penalty=2.0),
    *(dict(length_penalty=2.0, no_repeat_ngram_size=2, repetition_penalty=1.1, early_stopping=when) for when in WHEN_TO_STOP),
    dict(max_length=8), dict(min_length=5), dict(min_length=8, early_stopping=True), dict(no_repeat_ngram_size=2),
    dict(repetition_penalty=1.1), dict(repetition_penalty=1.3, early_stopping=True),
    dict(early_stopping=True, no_repeat_ngram_size=2, repetition_penalty=1.1),  # the original recipe's, but for the length
    dict(num_beams=3, max_length=8, min_length=5, no_repeat_ngram_size=2, repetition_penalty=1.3, length_penalty=2.0,
         early_stopping=True))]


class Scenes:
    """Noisy pictures of three attributes, with captions from a small random grammar.

    A model with random weights repeats one word until `max_length`. One trained on these for a moment knows what to
    say, when to end and what else it might have said, so that beams, penalties and limits all change its captions.
    """

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.prototypes = np.random.default_rng(5).standard_normal((3, 6, 3, 16, 16))

    def draw(self, count):
        kinds = self.rng.integers(0, 6, (count, 3))
        pixels = sum(self.prototypes[i][kinds[:, i]] for i in range(3)) + 0.5 * self.rng.standard_normal((count, 3, 16, 16))
        return torch.from_numpy(pixels.astype(np.float32)), [self.caption(*row) for row in kinds.tolist()]

    def caption(self, subject, colour, form):
        noun = lambda kind: (4 if self.rng.random() < 0.7 else 22) + kind % 6
        words = []
        for sentence in range(1 + form // 2):
            words += [STOP] if sentence else []
            words += [THE] + ([10 + (colour + sentence) % 6] if self.rng.random() < 0.75 else []) + [noun(subject + sentence * form)]
            words += [WITH, 16 + (subject + colour) % 6] if self.rng.random() < 0.3 else []
            words += [AND, noun(subject + sentence * form + 1)] if form % 2 and self.rng.random() < 0.6 else []
        return words


def teach_to_caption(steps=300):
    model = build(TINY)
    randomise(model, 3)
    scenes, cls = Scenes(11), cls_of(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = get_linear_schedule_with_warmup(optimizer, 20, steps)
    for _ in range(steps):
        pixels, captions = scenes.draw(48)
        batch = collate(model, [[cls, *words[:22], SEP] for words in captions], "dec", True)
        loss = model(pixel_values=pixels, **batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model


def generate(model, pixels, settings):
    """Token ids up to and with [SEP], and the scores of the beams. Rows are filled behind [SEP]: with [SEP] by beam
    search, since it takes pad id 0 for `none`, and with 0 by greedy search."""
    out = model.eval().generate(pixels, do_sample=False, return_dict_in_generate=True, output_scores=True, **settings)
    captions, fill = [], PAD if settings["num_beams"] == 1 else SEP
    for row in out.sequences.tolist():
        length = row.index(SEP) + 1 if SEP in row else len(row)
        assert set(row[length:]) <= {fill} and (SEP in row or length == settings["max_length"])
        captions.append(row[:length])
    scores = out.sequences_scores.tolist() if settings["num_beams"] > 1 else None
    return captions, scores


def shake(model, seed):
    """The model with every weight off by about 2e-5 of itself, a hundred times what f32 rounds away."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1 + 2e-5 * torch.from_numpy(rng.standard_normal(tuple(parameter.shape)))
    return model


def choose(count, truth, rivals):
    """Images whose captions do not hang on rounding; first those whose captions depend on `early_stopping`, few as they are."""
    robust = [i for i in range(len(truth[0][0])) if all(
        rival[0][i] == true[0][i] for other in rivals for rival, true in zip(other, truth))]
    stops = [ids for settings, (ids, _) in zip(SETTINGS, truth)
             if settings["length_penalty"] == 2.0 and settings["no_repeat_ngram_size"] == 2 and settings["num_beams"] == 5]
    telling = [i for i in robust if stops[0][i] != stops[1][i]][:count // 3]
    assert len(stops) == len(WHEN_TO_STOP) and len(telling) >= 4
    kept = sorted(telling + [i for i in robust if i not in telling][:count - len(telling)])
    assert len(kept) == count
    return kept


def write_generate(count=24):
    save(teach_to_caption(), "tiny_sharp")
    exact, candidates = load("tiny_sharp", torch.float64), Scenes(12).draw(4 * count)[0]
    others = [load("tiny_sharp", torch.float32)] + [shake(load("tiny_sharp", torch.float64), seed) for seed in range(2)]
    truth = [generate(exact, candidates, settings) for settings in SETTINGS]
    rivals = [[generate(other, candidates, settings) for settings in SETTINGS] for other in others]
    kept = choose(count, truth, rivals)
    for settings, (captions, _) in zip(SETTINGS[::5], truth[::5]):  # The batch does not matter.
        assert [generate(exact, candidates[[i]], settings)[0][0] for i in kept[:4]] == [captions[i] for i in kept[:4]]
    pick = lambda values: values and [values[i] for i in kept]
    cases = [dict(settings=settings, token_ids=pick(ids), sequences_scores=pick(scores))
             for settings, (ids, scores) in zip(SETTINGS, truth)]
    error = max(abs(found - true) / abs(true) for case, (_, scores) in zip(cases, rivals[0]) if scores
                for found, true in zip(pick(scores), case["sequences_scores"]))
    write_tensors("tiny_generate.safetensors", {"pixel_values": candidates[kept]})
    write_json("tiny_generate.json", dict(model="tiny_sharp", images=count, pytorch_f32_error=dict(sequences_scores=error), cases=cases))
