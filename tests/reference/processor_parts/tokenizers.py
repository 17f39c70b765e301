"""Small tokenizers in the folders that scripts of all ages leave, and what transformers makes of captions with them."""

import json
import tempfile
from pathlib import Path

from transformers import AutoTokenizer

from .captions import captions

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
VOCABULARY = list(dict.fromkeys(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"!\"#$%&'()*+,-./:;=?@[]^_`{|}~", *CHARACTERS, *("##" + c for c in CHARACTERS),
     *"the The a A of with woman Woman shirt SHIRT wears sleeve cotton and solid color pattern neck line it is not do 's café cafe".split(),
     *"##s ##ing ##ed ##ed. é É ##é İ ß 中 文 ##文 日 ½ — ’ “ … don't".split()]))
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}


def added(content, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} | flags


def file_of(vocabulary, **changed):
    """tokenizer.json as transformers 4 writes it."""
    ids = {piece: index for index, piece in enumerate(vocabulary)}
    cls, sep = changed.pop("ends", ("[CLS]", "[SEP]"))
    names = [name for name in SPECIAL.values() if name in ids]
    normalizer = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": ids[name]} | added(name) for name in names],
        "normalizer": normalizer | changed.pop("normalizer", {}), "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
                           "single": [{"SpecialToken": {"id": cls, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                      {"SpecialToken": {"id": sep, "type_id": 0}}],
                           "pair": [], "special_tokens": {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in (cls, sep)}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True} | changed.pop("decoder", {}),
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                  "vocab": ids} | changed.pop("model", {}),
    } | changed


TRUNCATION = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
PADDING = {"strategy": {"Fixed": 7}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
CONFIG = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512} | SPECIAL
VOCAB_TXT = "\n".join(VOCABULARY) + "\n"


def named_folders():
    """Name -> files. Each is something that a hub repository or a training script has been seen to hold."""
    plain = file_of(VOCABULARY)
    after = len(VOCABULARY)
    dec, enc = {"id": after} | added("[DEC]"), {"id": after + 1} | added("[ENC]")
    with_dec = file_of(VOCABULARY, added_tokens=[*plain["added_tokens"], dec, enc])
    decoder_of_4 = {str(VOCABULARY.index(name)): added(name) for name in SPECIAL.values()}
    config_of_4 = CONFIG | {"added_tokens_decoder": decoder_of_4, "clean_up_tokenization_spaces": True, "extra_special_tokens": {},
                            "strip_accents": None, "tokenize_chinese_chars": True}
    with_words = [{"id": after} | added("dungarees", special=False, normalized=True, single_word=True),
                  {"id": after + 1} | added("T-SHIRT", special=False, normalized=False),
                  {"id": after + 2} | added("<img>", lstrip=True, rstrip=True)]
    others = [{"[CLS]": "<s>", "[SEP]": "</s>", "[PAD]": "<pad>"}.get(piece, piece) for piece in VOCABULARY]
    renamed = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    short = [piece for piece in VOCABULARY if piece != "[MASK]"]
    return {
        "as the hub has it": {"tokenizer.json": plain, "tokenizer_config.json": CONFIG, "special_tokens_map.json": SPECIAL},
        "saved by transformers 4": {"tokenizer.json": plain, "tokenizer_config.json": config_of_4, "special_tokens_map.json": SPECIAL},
        "saved after truncation and padding": {
            "tokenizer.json": plain | {"truncation": TRUNCATION, "padding": PADDING}, "tokenizer_config.json": CONFIG},
        "saved after truncation on the left": {
            "tokenizer.json": plain | {"truncation": TRUNCATION | {"direction": "Left"}}, "tokenizer_config.json": CONFIG},
        "a side in the configuration": {
            "tokenizer.json": plain | {"truncation": TRUNCATION | {"direction": "Left"}},
            "tokenizer_config.json": CONFIG | {"truncation_side": "right"}},
        "truncation on the left": {"tokenizer.json": plain, "tokenizer_config.json": CONFIG | {"truncation_side": "left"}},
        "[DEC] and [ENC] added": {
            "tokenizer.json": with_dec,
            "tokenizer_config.json": CONFIG | {"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]}},
        "[DEC] and [ENC] in the configuration alone": {
            "tokenizer.json": plain, "tokenizer_config.json": CONFIG | {"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]}},
        "[DEC] and [ENC] in the map of special tokens alone": {
            "tokenizer.json": plain, "tokenizer_config.json": CONFIG,
            "special_tokens_map.json": SPECIAL | {"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]}},
        "words added": {"tokenizer.json": plain | {"added_tokens": plain["added_tokens"] + with_words}, "tokenizer_config.json": CONFIG},
        "cased by the configuration": {"tokenizer.json": plain, "tokenizer_config.json": CONFIG | {"do_lower_case": False}},
        "cased by the file alone": {"tokenizer.json": file_of(VOCABULARY, normalizer={"lowercase": False}), "tokenizer_config.json": CONFIG},
        "no case in the configuration": {
            "tokenizer.json": file_of(VOCABULARY, normalizer={"lowercase": False}),
            "tokenizer_config.json": {key: CONFIG[key] for key in CONFIG if key != "do_lower_case"}},
        "cased with accents stripped": {
            "tokenizer.json": plain, "tokenizer_config.json": CONFIG | {"do_lower_case": False, "strip_accents": True}},
        "accents kept": {"tokenizer.json": plain, "tokenizer_config.json": CONFIG | {"strip_accents": False}},
        "accents kept by the file alone": {
            "tokenizer.json": file_of(VOCABULARY, normalizer={"strip_accents": False}), "tokenizer_config.json": CONFIG},
        "no spaces around Chinese": {"tokenizer.json": plain, "tokenizer_config.json": CONFIG | {"tokenize_chinese_chars": False}},
        "clean-up": {"tokenizer.json": plain, "tokenizer_config.json": CONFIG | {"clean_up_tokenization_spaces": True}},
        "no clean-up in the decoder": {
            "tokenizer.json": file_of(VOCABULARY, decoder={"cleanup": False}), "tokenizer_config.json": CONFIG},
        "special tokens split": {"tokenizer.json": plain, "tokenizer_config.json": CONFIG | {"split_special_tokens": True}},
        "other names for special tokens": {
            "tokenizer.json": file_of(others, ends=("<s>", "</s>")), "tokenizer_config.json": CONFIG | renamed,
            "special_tokens_map.json": SPECIAL | renamed},
        "other names in the map alone": {
            "tokenizer.json": file_of(others, ends=("<s>", "</s>")), "tokenizer_config.json": CONFIG,
            "special_tokens_map.json": {key: added(value) for key, value in (SPECIAL | renamed).items()}},
        "shorter words": {"tokenizer.json": file_of(VOCABULARY, model={"max_input_chars_per_word": 7}), "tokenizer_config.json": CONFIG},
        "no [MASK]": {"tokenizer.json": file_of(short), "tokenizer_config.json": CONFIG},
        "the fast class by name": {"tokenizer.json": plain, "tokenizer_config.json": CONFIG | {"tokenizer_class": "BertTokenizerFast"}},
        "the general class": {
            "tokenizer.json": file_of(VOCABULARY, normalizer={"lowercase": False}, decoder={"cleanup": False},
                                      model={"max_input_chars_per_word": 7}),
            "tokenizer_config.json": CONFIG | {"tokenizer_class": "PreTrainedTokenizerFast"}},
        "no configuration": {"tokenizer.json": plain},
        "a vocabulary alone": {"vocab.txt": VOCAB_TXT},
        "a vocabulary and a configuration": {
            "vocab.txt": VOCAB_TXT, "tokenizer_config.json": CONFIG | {"do_lower_case": False}, "special_tokens_map.json": SPECIAL},
        "a vocabulary with tokens added later": {
            "vocab.txt": VOCAB_TXT, "tokenizer_config.json": CONFIG | {"bos_token": "[DEC]"},
            "added_tokens.json": {"[DEC]": after, "[ENC]": after + 1},
            "special_tokens_map.json": SPECIAL | {"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]}},
        "a vocabulary with Windows' line ends": {"vocab.txt": VOCAB_TXT.replace("\n", "\r\n"), "tokenizer_config.json": CONFIG},
        "a vocabulary and the tokens that transformers 4 adds": {
            "vocab.txt": VOCAB_TXT, "special_tokens_map.json": SPECIAL | {"bos_token": "[DEC]"},
            "tokenizer_config.json": config_of_4 | {
                "bos_token": "[DEC]", "added_tokens_decoder": decoder_of_4 | {
                    str(after): added("[DEC]"), str(after + 1): added("overalls", special=False, normalized=True)}}},
    }


def random_folder(random):
    """Settings thrown together, in the file and beside it."""

    def one_of(*values):
        return values[random.integers(len(values))]

    normalizer = {"lowercase": one_of(True, False), "strip_accents": one_of(None, True, False), "handle_chinese_chars": one_of(True, False)}
    config = dict(CONFIG)
    for key, values in {"do_lower_case": (True, False), "strip_accents": (None, True, False), "tokenize_chinese_chars": (True, False),
                        "clean_up_tokenization_spaces": (True, False), "truncation_side": ("left", "right"),
                        "split_special_tokens": (True, False), "bos_token": ("[DEC]", None), "mask_token": ("[MASK]", "[ENC]"),
                        "tokenizer_class": ("BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast")}.items():
        if random.random() < 0.5:
            config[key] = one_of(*values)
    if random.random() < 0.3:
        config["tokenizer_class"] = "BertTokenizer"
        return {"vocab.txt": VOCAB_TXT, "tokenizer_config.json": config}
    return {"tokenizer.json": file_of(VOCABULARY, normalizer=normalizer, decoder={"cleanup": one_of(True, False)}),
            "tokenizer_config.json": config}


def folder_cases(random, count, each):
    """`each` captions with every named folder, each as it is and as transformers 5 saves it again, and with `count` random ones."""
    folders = named_folders() | {f"random {number}": random_folder(random) for number in range(count)}
    return [case for name, files in folders.items() for case in cases_of(random, name, files, each)]


def cases_of(random, name, files, each):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_folder(folder, files)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        yield {"name": name, "files": files} | tokenizer_cases(random, tokenizer, each)
        if random.random() < 0.5:
            again = folder / "again"
            tokenizer.save_pretrained(again)
            saved = {path.name: json.loads(path.read_text()) for path in again.glob("*.json")}
            write_folder(again, {})
            tokenizer = AutoTokenizer.from_pretrained(again)
            yield {"name": f"{name}, saved by transformers 5", "files": saved} | tokenizer_cases(random, tokenizer, each)


def write_folder(folder, files):
    (folder / "config.json").write_text('{"model_type": "blip"}')
    for name, content in files.items():
        (folder / name).write_bytes((content if isinstance(content, str) else json.dumps(content)).encode())


def tokenizer_cases(random, tokenizer, count, longest=2_000):
    """Captions with their ids, and ids with their texts, those beyond the vocabulary among them."""
    texts = captions(random, count, longest)
    lengths = [int(n) for n in random.choice([2, 3, 8, 20, 40, 60, 60, 512], len(texts))]
    ids = [tokenizer(text, truncation=True, max_length=length)["input_ids"] for text, length in zip(texts, lengths)]
    largest = max(tokenizer.get_vocab().values())
    said = [[int(n) for n in random.integers(0, largest + 4, int(random.integers(0, 12)))] for _ in range(count // 4)]
    said += [[30522, *row[1:], tokenizer.sep_token_id, tokenizer.pad_token_id, 4_000_000_000] for row in ids[: count // 4]]
    decoded = [tokenizer.decode(row, skip_special_tokens=True) for row in said]
    return {"special": [tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id], "size": largest + 1,
            "captions": texts, "lengths": lengths, "ids": ids, "said": said, "decoded": decoded}
