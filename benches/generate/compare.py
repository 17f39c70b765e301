#!/usr/bin/env python3
"""Captions a second of `generate` beside transformers, on the same random weights of BLIP-base's size.

    cargo build --release --bench generate        (its last line names the program)
    benches/generate/compare.py --program target/release/deps/generate-* --model DIR --pairs 5

Each round runs this program once, then transformers plain (f32, one image a call) and tuned (bf16 autocast, eight images a
call), so that whatever else the machine does meets all three. Times are of generation alone: models are loaded before.
"""
import argparse, json, os, statistics, subprocess, time

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--program", required=True)
p.add_argument("--model", required=True)
p.add_argument("--images", type=int, default=16)
p.add_argument("--length", type=int, default=60)
p.add_argument("--pairs", type=int, default=5)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--plain-images", type=int, help="fewer images for the plain way, whose time is that of one image after another")
p.add_argument("--only", choices=["plain", "tuned"], action="append")
a = p.parse_args()

import torch
from safetensors.torch import load_file
from transformers import BlipForConditionalGeneration

torch.set_num_threads(a.threads)
model, vision_seconds = None, 0.0


def load():
    global model
    model = BlipForConditionalGeneration.from_pretrained(a.model).eval()
    began = []
    model.vision_model.register_forward_pre_hook(lambda *_: began.append(time.perf_counter()))

    def ended(*_):
        global vision_seconds
        vision_seconds += time.perf_counter() - began.pop()
    model.vision_model.register_forward_hook(ended)


def ours():
    out = subprocess.run([a.program, "--model", a.model, "--images", str(a.images), "--length", str(a.length),
                          "--threads", str(a.threads), "--repeats", "1"], check=True, capture_output=True, text=True,
                         env=os.environ | {"CANDLE_NUM_THREADS": str(a.threads)})
    row = json.loads(out.stdout.splitlines()[-1])
    with open(os.path.join(a.model, "captions.json")) as f:
        cpu = row["encode_cpu_seconds"] + row["text_cpu_seconds"]
        return row["encode_seconds"], row["text_seconds"], cpu, [caption["ids"] for caption in json.load(f)]


def theirs(batch, amp, images):
    global vision_seconds
    if model is None:
        load()
    pixels = load_file(os.path.join(a.model, "pixels.safetensors"))["pixel_values"][:images]
    vision_seconds, said, began, cpu = 0.0, [], time.perf_counter(), time.process_time()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=amp):
        for some in pixels.split(batch):
            said += model.generate(pixel_values=some, max_length=a.length, min_length=a.length, num_beams=5,
                                   no_repeat_ngram_size=2, length_penalty=1.0, early_stopping=True,
                                   repetition_penalty=1.1, do_sample=False).tolist()
    seconds = time.perf_counter() - began
    scale = a.images / images
    cpu = time.process_time() - cpu
    return vision_seconds * scale, (seconds - vision_seconds) * scale, cpu * scale, said


ways = {"ours": ours, "plain": lambda: theirs(1, False, a.plain_images or a.images), "tuned": lambda: theirs(8, True, a.images)}
if a.only:
    ways = {name: way for name, way in ways.items() if name == "ours" or name in a.only}
rounds = []
for _ in range(a.pairs):
    rounds.append({name: way() for name, way in ways.items()})
    for name, (encode, text, cpu, said) in rounds[-1].items():
        equal = sum(x == y for x, y in zip(said, rounds[-1]["ours"][3]))
        print(json.dumps({"who": name, "encode_s": round(encode, 2), "text_s": round(text, 2), "cpu_s": round(cpu, 2),
                          "captions_a_second": round(a.images / (encode + text), 3),
                          "text_only": round(a.images / text, 3), "equal_to_ours": f"{equal}/{len(said)}",
                          "tokens": sum(map(len, said))}), flush=True)
for name in ways:
    if name == "ours":
        continue
    for what, seconds in [("with encoding", lambda row: row[0] + row[1]), ("text only", lambda row: row[1]),
                          ("CPU seconds, with encoding", lambda row: row[2])]:
        ratios = sorted(seconds(r[name]) / seconds(r["ours"]) for r in rounds)
        quartile = statistics.quantiles(ratios, n=4, method="inclusive")[0] if len(ratios) > 1 else ratios[0]
        print(f"{name} / ours, {what}: median {statistics.median(ratios):.2f}, lower quartile {quartile:.2f}")
