"""Where the fixtures go, and JSON that can be read in a diff."""
import json
from pathlib import Path

from safetensors.torch import save_file

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "model"


def write_tensors(name, tensors, metadata=None):
    """Floating point tensors as f32, ids and masks as i64. More than one key of metadata would come in random order."""
    stored = {key: (value.float() if value.is_floating_point() else value).contiguous() for key, value in tensors.items()}
    save_file(stored, OUT / name, metadata)
    (OUT / name).chmod(0o644)


def write_json(name, value):
    """One line per list of numbers or small object, so that a change of the fixtures can be read in a diff."""
    def lines(value, depth):
        flat = json.dumps(value)
        numbers = isinstance(value, list) and not any(isinstance(item, (dict, list, str)) for item in value)
        if len(flat) <= 140 or numbers or not isinstance(value, (dict, list)):
            return flat
        inside = "  " * (depth + 1)
        if isinstance(value, dict):
            rows = [f"{inside}{json.dumps(key)}: {lines(item, depth + 1)}" for key, item in value.items()]
        else:
            rows = [f"{inside}{lines(item, depth + 1)}" for item in value]
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return opening + "\n" + ",\n".join(rows) + "\n" + "  " * depth + closing
    text = lines(value, 0) + "\n"
    assert json.loads(text) == value
    (OUT / name).write_text(text)
