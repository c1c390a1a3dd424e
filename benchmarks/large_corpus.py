"""Memory of preparation, training and encoding as the corpus grows.

python benchmarks/large_corpus.py --documents 10000 100000 1000000

Each job is a process of its own, on made-up notes. Two figures for each: the peak resident size, and the peak of the
anonymous part of it. A training corpus is memory-mapped, and its pages count as resident while the system has no other
use for them; only anonymous memory has to be there. The latter is sampled ten times a second from /proc, so it is known
on Linux alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from prepare_memory import write_notes

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
JOBS = ("prepare", "train", "stream", "encode")
TINY = ["--config_name", "roberta", "--hidden_size", "64", "--num_hidden_layers", "1", "--num_attention_heads", "2"]
TINY += ["--window", "64", "--use_cpu", "--disable_tqdm", "--save_strategy", "no", "--no_model_card"]
TINY += ["--per_device_train_batch_size", "16", "--logging_steps", "100"]
MIB = 2**10  # of kilobytes, in which /proc counts
STRETCH = 10_000


def write_corpus(folder: Path, documents: int, words: int) -> None:
    """Write a prepared corpus of one split without preparing it: the notes of a file, each with a number before it.

    Args:
        folder: To make.
        documents: How many.
        words: Mean number of words.
    """
    import csv

    import pyarrow as pa
    from datasets import Features, Value

    from corpora.saving import DatasetDictWriter

    notes = folder.with_suffix(".csv")
    write_notes(notes, STRETCH, words)
    with notes.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = ("text", "document_id", "patient_id", "note_category")
    with DatasetDictWriter(folder, Features({name: Value("string") for name in columns})) as writer:
        for start in range(0, documents, STRETCH):
            numbers = range(start, min(start + STRETCH, documents))
            table = {
                "text": [f"{number} {row['text']}" for number, row in zip(numbers, rows, strict=False)],
                "document_id": [f"note-{number}" for number in numbers],
                "patient_id": [f"patient-{number // 5}" for number in numbers],
                "note_category": [row["note_category"] for row, _ in zip(rows, numbers, strict=False)],
            }
            writer.write("train", pa.table(table), str(start).encode())
    report = {"documents_read": documents, "documents_kept": documents, "dropped": {}, "cleaned": {}}
    report["near_duplicates"] = {"documents": 0}
    (folder / "preparation.json").write_text(json.dumps(report))


def measure(command: Sequence[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Run a command; return seconds, peak resident MiB and peak anonymous MiB."""
    started, anonymous, resident = time.perf_counter(), 0, 0
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, env=environment, stdout=told, stderr=subprocess.STDOUT)
        while process.poll() is None:
            sizes = _sizes(process.pid)
            anonymous, resident = max(anonymous, sizes.get("RssAnon", 0)), max(resident, sizes.get("VmHWM", 0))
            time.sleep(0.1)
        if process.returncode:
            told.seek(0)
            sys.exit(told.read().decode()[-3000:])
    return time.perf_counter() - started, resident / MIB, anonymous / MIB


def _sizes(process: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.startswith(("VmHWM", "RssAnon")))
    return {name: int(value.split()[0]) for name, value in pairs}


def command_of(job: str, folder: Path, documents: int, arguments: argparse.Namespace) -> list[str]:
    """Return the command line of a job and make what it reads."""
    corpus = folder / f"corpus-{documents}"
    if job == "prepare":
        write_notes(folder / "notes.csv", documents, arguments.words)
        words = ["--input_files", str(folder / "notes.csv"), "--output_dir", str(folder / f"prepared-{documents}")]
        return [sys.executable, str(SCRIPTS / "prepare_notes.py"), *words, "--quiet"]
    if not corpus.exists():
        write_corpus(corpus, documents, arguments.words)
    if not (folder / "tokenizer").exists():
        from datasets import load_from_disk

        from modeling.from_scratch import train_tokenizer

        sample = load_from_disk(str(corpus))["train"].select(range(min(documents, 2000)))
        train_tokenizer(sample, 4000).save_pretrained(folder / "tokenizer")
    if job == "encode":
        model = folder / "model"
        if not model.exists():
            command = _training(corpus, folder, ["--max_steps", "1", "--streaming", "--output_dir", str(model)])
            subprocess.run(command, check=True, capture_output=True)
        words = [str(model), "--data", str(corpus), "--output", str(folder / f"{documents}.npy"), "--quiet"]
        return [sys.executable, str(SCRIPTS / "encode.py"), *words]
    words = ["--max_steps", str(arguments.steps), "--output_dir", str(folder / f"{job}-{documents}")]
    return _training(corpus, folder, [*words, *(["--streaming"] if job == "stream" else [])])


def _training(corpus: Path, folder: Path, words: Sequence[str]) -> list[str]:
    command = [sys.executable, str(SCRIPTS / "pretrain.py"), "--objective", "declutr", "--train_file", str(corpus)]
    command += ["--tokenizer_name", str(folder / "tokenizer"), *TINY]
    return [*command, "--min_span_length", "8", "--max_span_length", "32", *words]


def main() -> None:
    """Measure every job at every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--words", type=int, default=60, help="mean length of a note")
    parser.add_argument("--steps", type=int, default=300, help="of training, 16 documents each")
    parser.add_argument("--folder", help="where to work; a temporary folder by default")
    arguments = parser.parse_args()
    print(
        "| documents | job | seconds | peak resident MiB | peak anonymous MiB |\n|---:|---|---:|---:|---:|", flush=True
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        environment = {**os.environ, "HF_DATASETS_CACHE": f"{name}/cache", "HF_HUB_OFFLINE": "1"}
        for documents in arguments.documents:
            for job in arguments.jobs:
                command = command_of(job, Path(name), documents, arguments)
                seconds, resident, anonymous = measure(command, environment)
                shown = f"{anonymous:,.0f}" if anonymous else "-"
                print(f"| {documents:,} | {job} | {seconds:,.0f} | {resident:,.0f} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
