"""Shows that transformers passes over sweep.json in a checkpoint: python tests/reference/checkpoint.py runs/SWEEP/RUN/best

It opens the folder as it is and a copy without the file, with every warning an error, and compares the configuration
of generation, the logits and the captions of random pictures. Versions in requirements.txt.
"""

import logging
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from transformers import AutoTokenizer, BlipForConditionalGeneration, GenerationConfig
from transformers.utils import logging as transformers_logging


SETTINGS = ("max_length min_length num_beams no_repeat_ngram_size length_penalty early_stopping repetition_penalty "
            "do_sample").split()


class Complaints(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


def opened(folder):
    model = BlipForConditionalGeneration.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    size = model.config.vision_config.image_size
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([tokenizer("the upper clothing has long sleeves")["input_ids"]] * 2)
    with torch.no_grad():
        logits = model(pixel_values=pixels, input_ids=ids).logits
        # BLIP's generate() hands over to the text decoder, which has a configuration of its own and does not look at
        # the folder's: the settings have to be passed.
        settings = {key: getattr(model.generation_config, key) for key in SETTINGS}
        said = model.generate(pixel_values=pixels, **settings)
    return GenerationConfig.from_pretrained(folder).to_dict(), logits, tokenizer.batch_decode(said, skip_special_tokens=True)


def main():
    folder = Path(sys.argv[1])
    assert (folder / "sweep.json").is_file(), "no sweep.json to pass over"
    warnings.simplefilter("error")
    complaints = Complaints()
    transformers_logging.get_logger("transformers").addHandler(complaints)
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        (Path(copy) / "sweep.json").unlink()
        (config, logits, said), (config_without, logits_without, said_without) = opened(folder), opened(copy)
    assert config == config_without and torch.equal(logits, logits_without) and said == said_without
    assert not [words for words in complaints.said if "sweep" in words or "unexpected" in words.lower()], complaints.said
    print(f"{folder}: opened, {len(complaints.said)} complaints, the same logits and captions with and without sweep.json: {said}")
    print(*complaints.said, sep="\n")


if __name__ == "__main__":
    main()
