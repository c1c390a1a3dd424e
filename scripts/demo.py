"""From synthetic notes to an adapted encoder, its space and a table of frozen probes, in a few minutes on a CPU.

    python scripts/demo.py --output_dir runs/demo

Runs the other scripts one after the other, as a user would. Run it again after an interruption: finished steps are
skipped, and an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from command_line import RecipeParser, run

ROOT = Path(__file__).resolve().parent.parent
LINES_TO_USE = """
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{folder}")
embeddings = model.encode(["Short of breath on exertion, creps at both bases.", "Crackles bibasally, orthopnoea."])
print(model.similarity(embeddings, embeddings))
"""


@dataclass
class DemoRunOptions:
    """What the demo does."""

    _argument_group_name = "Demo"

    output_dir: str = field(default="runs/demo", metadata={"help": "Folder for everything the demo makes."})
    patients: int = field(default=1000, metadata={"help": "Patients of the synthetic corpus."})
    shots: int = field(default=16, metadata={"help": "Labelled notes a class of the few-label columns."})


def steps(options: DemoRunOptions) -> list[tuple[str, Path, list[str]]]:
    """Return (title, what it makes, command) of each step."""
    folder = Path(options.output_dir)
    notes, corpus, mlm, declutr = (folder / name for name in ("notes.jsonl", "corpus", "mlm", "declutr"))
    training = ["--train_file", str(corpus), "--disable_tqdm"]
    return [
        (
            "Synthetic notes of two hospitals",
            notes,
            ["make_demo_notes.py", "--output", str(notes), "--patients", str(options.patients)],
        ),
        (
            "Clean, group duplicates, split by patient",
            corpus,
            [
                "prepare_notes.py",
                "--input_files",
                str(notes),
                "--label_columns",
                "specialty",
                "--output_dir",
                str(corpus),
            ],
        ),
        (
            "Masked language modelling from scratch",
            mlm / "training_summary.json",
            ["pretrain.py", str(ROOT / "recipes" / "demo_mlm.yaml"), *training, "--output_dir", str(mlm)],
        ),
        (
            "DeCLUTR on the model before",
            declutr / "training_summary.json",
            [
                "pretrain.py",
                str(ROOT / "recipes" / "demo_declutr.yaml"),
                *training,
                *("--model_name_or_path", str(mlm), "--output_dir", str(declutr)),
            ],
        ),
        (
            "The embedding spaces of unseen patients' notes",
            folder / "space" / "page.html",
            [
                "analyse_embeddings.py",
                *(f"mlm={mlm}", f"declutr={declutr}", "--data", str(corpus), "--split", "test"),
                *("--label_column", "specialty", "--output_dir", str(folder / "space"), "--no_figures", "--quiet"),
            ],
        ),
        (
            "Frozen probes of the specialty on unseen patients (macro-F1)",
            folder / "probe.json",
            [
                "probe.py",
                *("--data", str(corpus), "--label_columns", "specialty", "--shots", str(options.shots)),
                *("--models", f"before (MLM)={mlm}", f"after (DeCLUTR)={declutr}"),
                *("--output", str(folder / "probe.json"), "--overwrite", "--quiet"),
            ],
        ),
    ]


def main(argv: list[str]) -> int:
    """Run the script."""
    (options,) = RecipeParser([DemoRunOptions], description=__doc__.split("\n\n")[0]).parse(argv)
    folder = Path(options.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.time()
    for number, (title, made, command) in enumerate(steps(options), start=1):
        last = made.name == "probe.json"
        print(f"\n== {number}. {title}\n   python scripts/{shlex.join(command)}\n", flush=True)
        if made.exists() and not last:
            print(f"{made} is there already", flush=True)
            continue
        result = subprocess.run([sys.executable, str(ROOT / "scripts" / command[0]), *command[1:]])
        if result.returncode:
            return result.returncode
    print(f"\nFinished in {time.time() - started:.0f} s. What happened to the space: {folder / 'space' / 'page.html'}")
    print(f"The adapted encoder is in {folder / 'declutr'}. To use it:")
    print(LINES_TO_USE.format(folder=folder / "declutr"))
    return 0


if __name__ == "__main__":
    run(main)
