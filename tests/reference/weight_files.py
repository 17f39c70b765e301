#!/usr/bin/env python3
"""Writes tests/fixtures/weight_files/: one small random BLIP in every form in which models are published.

    python tests/reference/weight_files.py               a few seconds

`safetensors/` is what `save_pretrained` writes, with a tokenizer of twenty-one words and a processor to caption with. The other folders hold the same tensors in other files, to be read to
the same bits, but for `bin_half/` (rounded to f16 and bf16; `expected.safetensors` has the rounded values). Files below
`refused/` must not be read: `evil.bin` would write a file when unpickled by Python, `legacy.bin` is of the format
before PyTorch 1.6.
"""
import os
import pathlib
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from safetensors.torch import save_file

from model_parts.models import build, randomise

OUT = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "weight_files"
MICRO = dict(
    vision=dict(hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, image_size=8, patch_size=4),
    text=dict(hidden_size=6, intermediate_size=10, num_hidden_layers=1, num_attention_heads=3, vocab_size=23,
              max_position_embeddings=12, bos_token_id=21),
)
EMBEDDINGS = "text_decoder.bert.embeddings.word_embeddings.weight"


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/sweep_was_unpickled",)


def folder(name):
    path = OUT / name
    path.mkdir(parents=True)
    return path


def write_tokenizer(path):
    """As the model has it: [PAD] 0, [SEP] 3, [CLS] before [DEC], which only the model knows."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    words = ["[PAD]", "[UNK]", "[MASK]", "[SEP]", *"a red blue green dress shirt hat with and on the of in to is .".split(), "[CLS]"]
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.save(str(path / "tokenizer.json"))
    (path / "preprocessor_config.json").write_text('{"size": 8}\n')


def in_two_parts(state, name, suffix, write):
    """Parts and index as `save_pretrained(max_shard_size=...)` writes them."""
    import json

    path, keys, weight_map = folder(name), sorted(state), {}
    stem = suffix.split(".")[0]
    ending = suffix.split(".")[1]
    for number, chosen in enumerate((keys[: len(keys) // 2], keys[len(keys) // 2:]), 1):
        part = f"{stem}-{number:05}-of-00002.{ending}"
        write({key: state[key] for key in chosen}, path / part)
        weight_map.update(dict.fromkeys(chosen, part))
    index = {"metadata": {"total_size": sum(t.numel() * 4 for t in state.values())}, "weight_map": weight_map}
    (path / f"{suffix}.index.json").write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")


def strided(state):
    """The same values as parameters, as views into one storage, and with columns stored before rows."""
    result, pool, offset = {}, torch.cat([t.flatten() for t in state.values()]), 0
    for number, (key, tensor) in enumerate(state.items()):
        view = pool[offset: offset + tensor.numel()].view(tensor.shape)
        offset += tensor.numel()
        if number % 3 == 0:
            result[key] = torch.nn.Parameter(tensor)
        elif number % 3 == 1 and tensor.dim() == 2:
            result[key] = tensor.t().contiguous().t()
        else:
            result[key] = view
    return result


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    model = build(MICRO)
    randomise(model, 7)
    model.save_pretrained(OUT / "safetensors")
    write_tokenizer(OUT / "safetensors")
    state = {key: tensor.detach().clone() for key, tensor in model.state_dict().items()}
    plain = lambda values, path: save_file({k: v.contiguous() for k, v in values.items()}, path, metadata={"format": "pt"})
    in_two_parts(state, "safetensors_parts", "model.safetensors", plain)

    # As the hub's oldest files: the tied head once more, and the positions, which are no weights.
    positions = torch.arange(12).expand(1, -1)
    whole = model.state_dict() | {"text_decoder.bert.embeddings.position_ids": positions}
    torch.save(whole, folder("bin") / "pytorch_model.bin")
    in_two_parts(state, "bin_parts", "pytorch_model.bin", torch.save)
    torch.save(strided(state), folder("bin_strided") / "pytorch_model.bin")
    half = {key: t.to(torch.float16 if i % 2 else torch.bfloat16) for i, (key, t) in enumerate(state.items())}
    torch.save(half, folder("bin_half") / "pytorch_model.bin")
    plain({key: t.float() for key, t in half.items()}, OUT / "bin_half" / "expected.safetensors")
    torch.save({key: t.double() for key, t in state.items()}, folder("bin_double") / "pytorch_model.bin")

    refused = folder("refused")
    torch.save({EMBEDDINGS: Evil()}, refused / "evil.bin")
    torch.save(state, refused / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({EMBEDDINGS: torch.ones(2, 2).to_sparse()}, refused / "sparse.bin")
    for path in OUT.rglob("*.safetensors"):
        path.chmod(0o644)


if __name__ == "__main__":
    main()
