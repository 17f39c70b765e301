#!/usr/bin/env python3
"""Writes the fixtures of the trainable BLIP model, tests/fixtures/model/, with PyTorch and transformers.

    pip install -r tests/reference/requirements.txt     (torch 2.15.0, transformers 5.23.0, numpy 2.4.6, safetensors 0.8.0)
    python tests/reference/model.py                      about a minute and a half on one core

Every reference value comes from `transformers.BlipForConditionalGeneration`, not from a re-implementation. It is
computed in f64 from the f32 weights on disk, so that it is the exact answer and a test's tolerance has to cover only
the error of the code under test; the error that PyTorch itself makes in f32 is written beside it. README.md, beside
this script, describes the files.
"""
import os
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers

from model_parts.configurations import write_config_defaults
from model_parts.generation import write_generate
from model_parts.gradients import write_gradients
from model_parts.models import TINY, TINY2, build, randomise, save
from model_parts.output import OUT
from model_parts.steps import write_steps

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    for name, architecture, seed in (("tiny", TINY, 1), ("tiny2", TINY2, 2)):
        model = build(architecture)
        randomise(model, seed)
        save(model, name)
    write_config_defaults()
    write_gradients()
    write_steps()
    write_generate()


if __name__ == "__main__":
    main()
