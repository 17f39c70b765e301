#!/usr/bin/env python3
"""Writes the fixtures of training, tests/fixtures/training/, with PyTorch and transformers.

    pip install -r tests/reference/requirements.txt     (torch 2.15.0, transformers 5.23.0, numpy 2.4.6, safetensors 0.8.0)
    python tests/reference/training.py [--seed 1] [--out tests/fixtures/training] [--jobs 2] [--runs 52]

Every number comes from `transformers.BlipForConditionalGeneration` and `torch.optim.AdamW`, in f64 from the f32 weights on
disk; how far PyTorch itself is off in f32 is written beside it. Another seed draws other models, data and settings; the tests
read another folder with `SWEEP_TRAINING_FIXTURES=FOLDER cargo test --release training`. README.md describes the files.
"""
import argparse
import os
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers

from training_parts.gradients import write_gradients
from training_parts.output import DEFAULT, Folder
from training_parts.steps import write_steps

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=DEFAULT)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--runs", type=int, help="only so many of the 52 runs, chosen at random")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.out, ignore_errors=True)
    write_gradients(Folder(arguments.out), arguments.seed)
    write_steps(Folder(arguments.out), arguments.seed, arguments.jobs, arguments.runs)


if __name__ == "__main__":
    main()
