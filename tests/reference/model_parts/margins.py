"""`generate()` together with the smallest difference of scores that decided what it said.

A caption can be trusted to come out the same on another machine only if no choice on its way was closer than what
rounding changes. The margin of a caption is the smallest gap among these, taken from transformers' own values by
wrapping the methods of its search:

* greedy search: between the best and the second best word, at every step before the end;
* beam search, at every step while the image's search goes on: between the last beam that goes on and the first that
  does not; between a caption that ends and the rank (`num_beams`) within which it counts as finished;
* between the best beam's prospect and the worst finished caption, wherever that decides whether to go on;
* at the end, between the best finished caption and the second.

What no result depends on (the order among beams that all go on, which of the poor finished captions is kept) is left out.
"""
import torch

NEVER_CLOSE = 1e9


class Margins:
    """Watches the beam search of a text decoder; `smallest` has one number an image."""

    def __init__(self, decoder, images, settings, end):
        self.decoder, self.settings, self.end = decoder, settings, end
        self.smallest = torch.full((images,), NEVER_CLOSE, dtype=torch.float64)
        self.second_best = torch.full((images,), NEVER_CLOSE, dtype=torch.float64)
        self.watched = ("_get_top_k_continuations", "_update_finished_beams", "_check_early_stop_heuristic")

    def __enter__(self):
        for name in self.watched:
            setattr(self.decoder, name, self.wrap(getattr(self.decoder, name), getattr(self, "before" + name)))
        return self

    def __exit__(self, *_):
        for name in self.watched:
            delattr(self.decoder, name)
        self.note(torch.ones_like(self.smallest, dtype=torch.bool), self.second_best)

    def wrap(self, method, before):
        def wrapped(**arguments):
            before(**arguments)
            result = method(**arguments)
            if method.__name__ == "_update_finished_beams":
                self.after_update_finished_beams(result)
            return result
        return wrapped

    def note(self, images, gaps):
        gaps = torch.where(images & ~gaps.isnan(), gaps, NEVER_CLOSE)
        self.smallest = torch.minimum(self.smallest, gaps)

    def before_get_top_k_continuations(self, accumulated_log_probs, cur_len, num_beams, **_):
        count = min(3 * num_beams + 1, accumulated_log_probs.shape[1])
        scores, places = torch.topk(accumulated_log_probs.double(), count)
        ends = places % (accumulated_log_probs.shape[1] // num_beams) == self.end
        self.candidates = scores, ends, cur_len + 1 >= self.settings["max_length"]

    def before_update_finished_beams(self, is_sent_finished, is_early_stop_heuristic_unsatisfied, num_beams, **_):
        full = is_sent_finished.all(dim=1) & (self.settings["early_stopping"] is True)
        goes_on = is_early_stop_heuristic_unsatisfied[:, 0] & ~full
        scores, ends, is_last = self.candidates
        if is_last:  # All that is left to decide is which finished caption is the best.
            return
        nothing = -torch.inf
        open_ones = torch.where(ends, nothing, scores).topk(num_beams + 1).values
        self.note(goes_on, open_ones[:, num_beams - 1] - open_ones[:, num_beams])
        last_inside, first_outside = scores[:, num_beams - 1, None], scores[:, num_beams, None]
        is_inside = torch.arange(scores.shape[1]) < num_beams
        gaps = torch.where(is_inside, scores - first_outside, last_inside - scores)
        self.note(goes_on, torch.where(ends & ~gaps.isnan(), gaps, NEVER_CLOSE).min(dim=1).values)

    def after_update_finished_beams(self, result):
        _, scores, _, finished = result
        gap = scores[:, 0].double() - scores[:, 1].double()
        self.second_best = torch.where(finished[:, 1], gap, NEVER_CLOSE)

    def before_check_early_stop_heuristic(self, is_early_stop_heuristic_unsatisfied, running_beam_scores, beam_scores,
                                          is_sent_finished, cur_len, max_length, decoder_prompt_len, early_stopping,
                                          length_penalty):
        if early_stopping is True or cur_len >= max_length:
            return
        length = max_length if early_stopping == "never" and length_penalty > 0.0 else cur_len
        prospect = running_beam_scores[:, 0].double() / (length - decoder_prompt_len) ** length_penalty
        gap = (prospect - beam_scores.double().min(dim=1).values).abs()
        self.note(is_early_stop_heuristic_unsatisfied[:, 0] & is_sent_finished.all(dim=1), gap)


def greedy_margins(captions, scores):
    """From the processed logits of every step, up to each caption's end."""
    gaps = torch.stack([(best := step.double().topk(2).values)[:, 0] - best[:, 1] for step in scores])
    return [float(gaps[:len(ids) - 1, image].min()) for image, ids in enumerate(captions)]


def until_end(row, end, max_length):
    """Without the fill behind [SEP], which comes after the start token."""
    row = row[:max_length]
    return row[:row.index(end, 1) + 1] if end in row[1:] else row


def search(model, pixel_values, settings):
    """Token ids up to and with [SEP], the scores of the beams (none for greedy search), and all of generate()'s output."""
    out = model.generate(pixel_values, do_sample=False, return_dict_in_generate=True, output_scores=True, **settings)
    end = model.config.text_config.sep_token_id
    captions = [until_end(row, end, settings["max_length"]) for row in out.sequences.tolist()]
    return captions, out.sequences_scores.tolist() if settings["num_beams"] > 1 else None, out


def say(model, pixel_values, settings):
    """Token ids and scores alone."""
    return search(model, pixel_values, settings)[:2]


def generate(model, pixel_values, settings):
    """Token ids, scores and margins."""
    if settings["num_beams"] == 1:
        captions, scores, out = search(model, pixel_values, settings)
        return captions, scores, greedy_margins(captions, out.scores)
    with Margins(model.text_decoder, len(pixel_values), settings, model.config.text_config.sep_token_id) as margins:
        captions, scores, _ = search(model, pixel_values, settings)
    return captions, scores, margins.smallest.tolist()
