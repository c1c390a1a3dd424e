"""Time and peak memory of `scripts/prepare_notes.py` on a file of made-up notes.

python benchmarks/prepare_memory.py --documents 1000000

The notes are drawn word by word from an invented vocabulary, with near-duplicates among them; what is measured is the
machinery, not language. Peak memory is the largest resident size of the job or any of its processes.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import resource
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "prepare_notes.py"
NEAR_DUPLICATE_EVERY = 20


def write_notes(file: Path, documents: int, words: int, seed: int = 0) -> None:
    """Write a CSV file of notes, five to a patient; every twentieth repeats the one before but for one word.

    Args:
        file: The file to make.
        documents: Number of rows.
        words: Mean number of words; lengths lie between a third of it and five thirds.
        seed: Seed of the vocabulary and the notes.
    """
    generator = random.Random(seed)
    vocabulary = ["".join(generator.choices(string.ascii_lowercase, k=generator.randint(3, 10))) for _ in range(20_000)]
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(vocabulary))))
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["document_id", "patient_id", "note_category", "text"])
        note: list[str] = []
        for number in range(documents):
            if number % NEAR_DUPLICATE_EVERY == NEAR_DUPLICATE_EVERY - 1:
                note = [*note[:-1], generator.choice(vocabulary)]
            else:
                length = generator.randint(words // 3, words * 5 // 3)
                note = generator.choices(vocabulary, cum_weights=weights, k=length)
            rows.writerow([number, number // 5, f"category {generator.randint(1, 8)}", " ".join(note)])


def main() -> None:
    """Make the notes, prepare them in a process of its own, print documents a second and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--words", type=int, default=60, help="mean length of a note")
    parser.add_argument("--num_proc", type=int, default=1)
    parser.add_argument("--folder", help="where to work; a temporary folder by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        notes = Path(folder) / "notes.csv"
        write_notes(notes, arguments.documents, arguments.words)
        size = notes.stat().st_size / 2**20
        start = time.perf_counter()
        command = [sys.executable, str(SCRIPT), "--input_files", str(notes), "--output_dir", f"{folder}/corpus"]
        subprocess.run([*command, "--num_proc", str(arguments.num_proc)], check=True)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    print(f"\n{arguments.documents:,} documents, {size:,.0f} MiB of CSV, {arguments.num_proc} process(es)")
    print(f"{seconds:,.0f} s, {arguments.documents / seconds:,.0f} documents/s, peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
