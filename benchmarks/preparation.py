"""Notes to token ids: preparation and tokenising here, beside a script of pandas and a loop over a tokenizer.

python benchmarks/preparation.py --documents 20000

The script reads the whole CSV file, cleans the texts, drops exact duplicates, splits by patient, tokenises text by
text and writes each split as Parquet. Ours does that in `prepare_notes` and `tokenize_documents`: once without and once
with near-duplicates, which the script does not look for. Every figure is of a process of its own, on made-up notes:
seconds by the clock and of the processor (ours uses all cores where it can, the loop one), and peak resident memory
with that of the imports. The ratios are those of the two times.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prepare_memory import write_notes

WAYS = ("pandas", "ours", "ours, with near-duplicates")
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def with_pandas(notes: Path, tokenizer_folder: Path, output: Path) -> int:
    """Do what an everyday script does; return the documents kept."""
    import unicodedata

    import numpy as np
    import pandas as pd
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    frame = pd.read_csv(notes, dtype=str)

    def clean(text: str) -> str:
        text = unicodedata.normalize("NFC", text)
        text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", text)
        text = re.sub(r"\[\*\*.*?\*\*\]", "[DEID]", text)
        return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+", " ", text)).strip()

    frame["text"] = frame["text"].apply(clean)
    frame = frame.drop_duplicates("text")
    patients = np.random.default_rng(0).permutation(frame["patient_id"].unique())
    ends = (np.cumsum(list(SHARES.values())) * len(patients)).astype(int)
    output.mkdir()
    for name, members in zip(SHARES, np.split(patients, ends[:-1]), strict=True):
        part = frame[frame["patient_id"].isin(members)].copy()
        part["input_ids"] = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in part["text"]]
        part.to_parquet(output / f"{name}.parquet")
    return len(frame)


def with_ours(notes: Path, tokenizer_folder: Path, output: Path, threshold: float) -> int:
    """Prepare and tokenise with this library; return the documents kept."""
    import datasets
    from transformers import AutoTokenizer

    from collators import tokenize_documents
    from corpora.deduplication import DuplicateOptions
    from corpora.loading import load_corpus
    from corpora.preparation import prepare_notes

    datasets.disable_progress_bars()
    report = prepare_notes(notes, output, duplicates=DuplicateOptions(near_duplicate_threshold=threshold))
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    for split in load_corpus(output).values():
        tokenize_documents(split, tokenizer)
    return report["documents_kept"]


def child(way: str, folder: Path) -> None:
    """Run one way and print documents kept, seconds, processor seconds and peak MiB."""
    # Imports are no part of the time: torch alone takes seconds, as long as thousands of documents.
    import datasets  # noqa: F401
    import pandas  # noqa: F401
    import rensa  # noqa: F401
    import scipy.sparse.csgraph  # noqa: F401
    from transformers import AutoTokenizer  # noqa: F401

    import collators  # noqa: F401
    import corpora.loading
    import corpora.preparation  # noqa: F401

    output = folder / f"out-{WAYS.index(way)}"
    started = time.process_time(), time.perf_counter()
    if way == "pandas":
        kept = with_pandas(folder / "notes.csv", folder / "tokenizer", output)
    else:
        kept = with_ours(folder / "notes.csv", folder / "tokenizer", output, 0.8 if "near" in way else 0.0)
    processor, clock = time.process_time() - started[0], time.perf_counter() - started[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform != "darwin" else 2**20)
    print(f"RESULT {kept} {clock} {processor} {peak}")


def main() -> None:
    """Run every way in a process of its own and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--words", type=int, default=200, help="mean length of a note")
    parser.add_argument("--folder", help="where to work; a temporary folder by default")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], Path(arguments.child[1]))
        return
    print("| documents | | seconds | documents/s | ratio | processor seconds | ratio | peak MiB |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for documents in arguments.documents:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name)
            write_notes(folder / "notes.csv", documents, arguments.words)
            _train_tokenizer(folder)
            environment = {**os.environ, "HF_DATASETS_CACHE": str(folder / "cache")}
            naive: tuple[float, float] | None = None
            for way in WAYS:
                command = [sys.executable, __file__, "--child", way, name]
                told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
                _, clock, processor, peak = map(float, told.split("RESULT ")[1].split())
                naive = naive or (clock, processor)
                print(
                    f"| {documents:,} | {way} | {clock:.1f} | {documents / clock:,.0f} | {naive[0] / clock:.2f} | "
                    f"{processor:.1f} | {naive[1] / processor:.2f} | {peak:,.0f} |",
                    flush=True,
                )


def _train_tokenizer(folder: Path) -> None:
    import pandas as pd
    from datasets import Dataset

    from modeling.from_scratch import train_tokenizer

    sample = pd.read_csv(folder / "notes.csv", dtype=str, nrows=500)
    train_tokenizer(Dataset.from_dict({"text": sample["text"].tolist()}), 8000).save_pretrained(folder / "tokenizer")


if __name__ == "__main__":
    main()
