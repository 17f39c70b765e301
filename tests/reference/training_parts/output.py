"""Where the fixtures go. Everything is compressed, and the same values make the same bytes."""
import gzip
import json
from pathlib import Path

import torch
from safetensors.torch import save

DEFAULT = Path(__file__).resolve().parents[2] / "fixtures" / "training"


class Folder:
    def __init__(self, path):
        self.path = Path(path)

    def write_bytes(self, name, data):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data, mtime=0))

    def write_json(self, name, value):
        self.write_bytes(name, json.dumps(value, separators=(",", ":")).encode())

    def write_tensors(self, name, tensors):
        """Floating point tensors as f32, all others as they are."""
        stored = {key: (value.float() if value.is_floating_point() else value).contiguous() for key, value in tensors.items()}
        self.write_bytes(name, save(stored))


def rounded(number):
    """Nine digits: far below every tolerance, and half the size."""
    return float(f"{number:.9g}")


def norm(values):
    return float(torch.linalg.vector_norm(values.double()))
