"""Sweeps of BLIP-base and the script beside them, in processor seconds; what the scripts here share."""
import json, pathlib, resource, shutil, subprocess, sys

here = pathlib.Path(__file__).resolve().parent
PROGRAM = here.parent / "target/release/sweep"
# What the script does not do before, between and after its runs.
ALONE = "references: {zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false}\nsimple_models: false\n"


def cpu_seconds(command, **options):
    """What a command prints, and the processor time that it and its processes take."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    got = subprocess.run(command, text=True, capture_output=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if got.returncode:
        sys.exit(f"{command}\n{got.stdout}\n{got.stderr}")
    return got.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def emptied(work):
    """The folder, with nothing in it: no run that is finished, no cache that is filled."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    return work


def beside_script(folder, layers, rates, epochs, precision="f32", evaluation=()):
    """A sweep file of the runs that `script` makes, one for each of the layers and rates. Unless `evaluation` says otherwise they
    are evaluated as there, without diagnostics."""
    evaluation = {"diagnostics": False, **dict(evaluation)}
    return f"""\
name: whole
model: {folder}/model
recipe: as-original
data:
  train: {{captions: {folder}/train.json, images: {folder}/images}}
  validation: {{captions: {folder}/validation.json, images: {folder}/images}}
parameters:
  unfrozen_vision_layers: {{values: {layers}}}
  learning_rate: {{values: {rates}}}
training: {{epochs: {epochs}, warmup_steps: 2, shuffle: false, precision: {precision}}}
evaluation: {json.dumps(evaluation)}
early_stopping: {{patience: 0}}
metric: {{name: val_loss, goal: minimize}}
{ALONE}"""


def script(folder, layers, rate, epochs, *flags):
    """Validation losses by epoch, and processor seconds, of one run of the script."""
    said, seconds = cpu_seconds([
        sys.executable, here / "pytorch_baseline.py", "--model", folder / "model", "--images", folder / "images", "--train",
        folder / "train.json", "--val", folder / "validation.json", "--unfrozen", str(layers), "--lr", str(rate), "--epochs",
        str(epochs), "--warmup-steps", "2", "--no-shuffle", *flags])
    return [row["val_loss"] for row in json.loads(said)["history"]], seconds
