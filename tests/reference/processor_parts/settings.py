"""Processor files of many kinds: what transformers' PIL processor makes of a picture with each."""

import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor

from .drawn import drawn, short_sha256

OWN, JOINT = "preprocessor_config.json", "processor_config.json"
PICTURE = {"kind": "noise", "seed": 3, "from": [97, 61]}


def settings_cases(random, count):
    """Each case has its files, transformers' answer, and where this program says no, the key that it has to name."""
    image = Image.fromarray(drawn(PICTURE["kind"], PICTURE["seed"], *PICTURE["from"]))
    folders = [({OWN: settings}, None) for settings in honoured()] + [({OWN: settings}, key) for key, settings in refused()]
    folders += [(files, None) for files in joint_files()]
    folders += [({OWN: drawn_settings(random)}, None) for _ in range(count)]
    return {"picture": PICTURE, "cases": [settings_case(image, files, key) for files, key in folders]}


def honoured():
    yield {}
    yield {"size": {"height": 17, "width": 40}}
    yield {"size": [20, 30]}
    yield {"size": 16, "default_to_square": True}
    yield {"size": 16, "do_normalize": False}
    yield {"size": 16, "do_rescale": False}
    yield {"size": 16, "do_rescale": False, "do_normalize": False}
    yield {"size": 16, "rescale_factor": 0.0123}
    yield {"size": 16, "rescale_factor": 1}
    yield {"size": 16, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.1, 0.7, 1.5]}
    yield {"size": 16, "image_mean": 0.5, "image_std": 0.25}
    yield {"size": 16, "image_mean": [-1, 0, 2], "image_std": [1, 2, 3]}
    yield {"do_resize": False}
    yield {"do_resize": False, "resample": 0}
    yield {"size": 16, "do_convert_rgb": False}
    yield {"size": 16, "do_convert_rgb": None, "do_resize": None, "resample": None}
    yield {"size": 16, "do_rescale": None, "rescale_factor": None, "do_pad": None, "do_center_crop": None}
    yield {"size": 16, "do_normalize": None, "image_mean": None, "image_std": None}
    yield {"size": 16, "crop_size": 8, "pad_size": {"height": 90, "width": 90}}
    yield {"size": 16, "do_center_crop": False, "do_pad": False, "data_format": "channels_first", "return_tensors": None}
    yield {"size": 16, "image_processor_type": "BlipImageProcessorFast", "processor_class": "BlipProcessor", "device": None}
    yield {"size": 16, "image_processor_type": "BlipImageProcessorPil", "disable_grouping": None, "image_seq_length": None}
    yield {"size": {"height": 17, "width": 40}, "some_later_key": 3}


def refused():
    for filter in (0, 1, 2, 4, 5, None, "bicubic", 3.0):
        yield "resample", {"size": 16, "resample": filter}
    yield "size", {"size": 16, "default_to_square": False}
    yield "size", {"size": 16, "default_to_square": None}
    yield "size", {"size": {"shortest_edge": 20}}
    yield "size", {"size": {"shortest_edge": 20, "longest_edge": 30}}
    yield "size", {"size": {"longest_edge": 30}}
    yield "size", {"size": {"max_height": 30, "max_width": 20}}
    yield "size", {"size": {"height": 20}}
    yield "size", {"size": {"height": 20, "width": 30, "longest_edge": 40}}
    yield "size", {"size": "384"}
    yield "do_center_crop", {"size": 16, "do_center_crop": True, "crop_size": 8}
    yield "do_pad", {"size": 16, "do_pad": True, "pad_size": {"height": 20, "width": 20}}
    yield "rescale_factor", {"size": 16, "rescale_factor": None}
    yield "image_mean", {"size": 16, "image_mean": [0.5, 0.5]}
    yield "image_std", {"size": 16, "image_std": [0.5, 0, 0.5]}
    yield "image_processor_type", {"size": 16, "image_processor_type": "CLIPImageProcessor"}
    yield "image_processor_type", {"size": {"height": 16, "width": 16}, "image_processor_type": "ViTImageProcessor"}
    yield "feature_extractor_type", {"size": 16, "feature_extractor_type": "CLIPFeatureExtractor"}


def joint_files():
    """The file in which transformers 5 keeps a processor's parts; its image processor comes before the older file."""
    new, old = {"size": {"height": 18, "width": 22}, "image_processor_type": "BlipImageProcessor"}, {"size": 16}
    yield {JOINT: {"image_processor": new, "processor_class": "BlipProcessor"}}
    yield {JOINT: {"image_processor": new, "processor_class": "BlipProcessor"}, OWN: old}
    yield {JOINT: {"processor_class": "BlipProcessor"}, OWN: old}
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), {OWN: {"size": {"height": 19, "width": 23}, "image_mean": 0.25}})
        processor = AutoImageProcessor.from_pretrained(place, backend="pil")
        processor.save_pretrained(Path(place) / "again")
        yield {path.name: json.loads(path.read_text()) for path in (Path(place) / "again").glob("*.json")}


def drawn_settings(random):
    """Values that round badly, thrown together."""
    settings = {"size": {"height": int(random.integers(1, 60)), "width": int(random.integers(1, 60))}, "resample": 3}
    for key, value in {"do_resize": bool(random.random() < 0.7), "do_rescale": bool(random.random() < 0.7),
                       "do_normalize": bool(random.random() < 0.7), "rescale_factor": float(np.exp(random.uniform(-9, 2))),
                       "image_mean": [float(n) for n in random.normal(0, 1, 3)],
                       "image_std": [float(n) for n in np.exp(random.normal(0, 2, 3))]}.items():
        if random.random() < 0.6:
            settings[key] = value
    return settings


def settings_case(image, files, refused_key):
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), files)
        case = {"files": files} | ({"refused": refused_key} if refused_key else {})
        try:
            values = AutoImageProcessor.from_pretrained(place, backend="pil")(image, return_tensors="np")["pixel_values"][0]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            assert refused_key, f"transformers refuses {files}: {error}"
            return case | {"transformers": type(error).__name__}
        with np.errstate(all="ignore"):
            values = np.asarray(values).astype("<f4")
        return case | {"shape": list(values.shape), "values": short_sha256(values)}


def write(folder, files):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "blip"}')
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
