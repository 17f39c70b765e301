"""config.json files with keys missing, and the values transformers arrives at."""
import json
from pathlib import Path

from transformers.models.blip.configuration_blip import BlipConfig

from .output import OUT, write_json

HUB_CONFIG = Path(__file__).with_name("blip_base_config.json")
TEXT_KEYS = ("vocab_size hidden_size encoder_hidden_size intermediate_size num_hidden_layers num_attention_heads "
             "max_position_embeddings hidden_act layer_norm_eps hidden_dropout_prob attention_probs_dropout_prob "
             "initializer_range bos_token_id eos_token_id pad_token_id sep_token_id is_decoder label_smoothing").split()
VISION_KEYS = ("hidden_size intermediate_size num_hidden_layers num_attention_heads image_size patch_size hidden_act "
               "layer_norm_eps attention_dropout initializer_range").split()
LARGE = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16)


def write_config_defaults():
    given = {
        "the hub's base model, whose text part has no encoder_hidden_size": json.loads(HUB_CONFIG.read_text()),
        "nothing but the model type": {"model_type": "blip"},
        "empty parts": {"model_type": "blip", "text_config": {}, "vision_config": {}},
        "null parts": {"model_type": "blip", "text_config": None, "vision_config": None},
        "no text heads: the class says 8, not the 12 of the released models":
            {"model_type": "blip", "text_config": {"hidden_size": 768, "vocab_size": 30524}, "vision_config": {"patch_size": 16}},
        "a large vision model: encoder_hidden_size follows it":
            {"model_type": "blip", "text_config": {"num_attention_heads": 12}, "vision_config": LARGE},
        "encoder_hidden_size contradicts the vision model and is overwritten":
            {"model_type": "blip", "text_config": {"encoder_hidden_size": 512}, "vision_config": {"hidden_size": 1024}},
        "label_smoothing at the top does not reach the text decoder": {"model_type": "blip", "label_smoothing": 0.1},
        "label_smoothing of the text part": {"model_type": "blip", "text_config": {"label_smoothing": 0.1}},
        "integers for rates, keys nobody knows":
            {"model_type": "blip", "colour": "red", "text_config": {"hidden_dropout_prob": 0, "shade": 1},
             "vision_config": {"attention_dropout": 0, "num_channels": 3}},
        "this script's tiny model": json.loads((OUT / "tiny" / "config.json").read_text()),
    }
    rows = []
    for name, config in given.items():
        filled = BlipConfig.from_dict(json.loads(json.dumps(config)))  # from_dict may change what it is given
        rows.append(dict(name=name, given=config, filled=dict(
            text_config={key: getattr(filled.text_config, key) for key in TEXT_KEYS},
            vision_config={key: getattr(filled.vision_config, key) for key in VISION_KEYS})))
    write_json("config_defaults.json", rows)
