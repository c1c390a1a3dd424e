"""Cached gradients against the plain step: peak memory and time of one DeCLUTR step from 64 to 1,024 spans.

python benchmarks/contrastive_batch.py
python benchmarks/contrastive_batch.py --sizes 64 128 --plain_sizes 64        # a quick look
python benchmarks/contrastive_batch.py --chunks 512 1024 2048 4096 1000000    # padding: the plain step alone

Contrastive loss and masked LM, random weights, random token ids, spans of 32 to 256 tokens. Each size runs in a process
of its own on one thread. Peak memory is the largest resident size; in brackets, above that after a step of 16 spans.
glibc keeps freed blocks of under 32 MiB in a heap that fragments; so that what the program holds is measured, blocks
from 128 KiB on go back to the system when freed (`--plain_allocator` leaves the allocator as it is). Time is processor
time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from made_up_training import made_up_documents, made_up_tokenizer, peak_mebibytes, untrained_encoder

SPANS_A_DOCUMENT = 4  # two anchors, one positive each
WARM_UP_SPANS = 16


def make_trainer(options: argparse.Namespace, spans: int, folder: str) -> Any:
    """Return a `DeclutrTrainer` with random weights over documents of random token ids."""
    from trainers import DeclutrArguments, DeclutrTrainer

    count = spans // SPANS_A_DOCUMENT
    documents = made_up_documents(count, options.vocabulary)
    tokenizer = made_up_tokenizer(options.vocabulary)
    arguments = DeclutrArguments(
        folder,
        use_cpu=True,
        num_positives=1,
        min_span_length=32,
        per_device_train_batch_size=count,
        unpadded=not options.padded,
        contrastive_mini_batch_tokens=options.mini_batch_tokens if options.mode == "cached" else None,
    )
    model = untrained_encoder("bert", options.layers, options.hidden_size, 0.1, tokenizer)
    trainer = DeclutrTrainer(model, arguments, processing_class=tokenizer, train_dataset=documents)
    trainer.current_gradient_accumulation_steps = 1  # otherwise set by the training loop
    if options.mode.isdigit():
        trainer.chunk_tokens = int(options.mode)
    return trainer


def work(options: argparse.Namespace) -> dict[str, float]:
    """Measure steps of one size and one way in this process."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(options, options.worker, folder)
        few = [trainer.train_dataset[number] for number in range(WARM_UP_SPANS // SPANS_A_DOCUMENT)]
        batches = [few] + [[trainer.train_dataset[number] for number in range(options.worker // SPANS_A_DOCUMENT)]] * (
            options.steps
        )
        seconds, before = [], 0.0
        for number, documents in enumerate(batches):
            batch = trainer.data_collator(documents)
            items = trainer._get_num_items_in_batch([batch], torch.device("cpu"))
            start = time.process_time()
            trainer.training_step(trainer.model, batch, items)
            if number:
                seconds.append(time.process_time() - start)
            else:
                before = peak_mebibytes()
            trainer.model.zero_grad()
    return {
        "peak": peak_mebibytes(),
        "above": peak_mebibytes() - before,
        "seconds": min(seconds),
        "tokens": int(batch["attention_mask"].sum()),
        "padded": batch["attention_mask"].numel(),
    }


def measure(mode: str, spans: int, arguments: list[str]) -> dict[str, float] | None:
    """Run `work` in a process of its own; None when it did not get through (out of memory)."""
    command = [sys.executable, __file__, *arguments, "--worker", str(spans), "--mode", mode]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if "--plain_allocator" not in arguments:
        environment |= dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(2**17))
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    return json.loads(result.stdout.splitlines()[-1]) if result.returncode == 0 else None


def row(name: str, spans: int, found: dict[str, float] | None) -> str:
    """Return a row of the table."""
    if found is None:
        return f"| {name} | {spans:,} | did not get through | | |"
    return (
        f"| {name} | {spans:,} | {found['peak']:,.0f} ({found['above']:,.0f}) | {1e3 * found['seconds'] / spans:.1f} | "
        f"{found['tokens'] / found['seconds']:,.0f} |"
    )


def main() -> None:
    """Measure and print a table and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 1024], help="spans a step, cached")
    parser.add_argument("--plain_sizes", type=int, nargs="+", default=[64, 128, 256], help="spans a step, plain")
    parser.add_argument("--chunks", nargs="+", help="compare token budgets of the plain step instead")
    parser.add_argument("--mini_batch_tokens", type=int, default=2048)
    parser.add_argument("--hidden_size", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=50_265)
    parser.add_argument("--steps", type=int, default=1, help="steps of each size; the fastest counts")
    parser.add_argument("--padded", action="store_true", help="read padded mini-batches, sorted by length")
    parser.add_argument("--plain_allocator", action="store_true", help="leave glibc's thresholds as they are")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--mode", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(work(options)))
        return
    print("| step | spans | peak MiB (above the start) | CPU ms a span | real tokens a CPU second |")
    print("|---|---:|---:|---:|---:|")
    if options.chunks:
        for spans in options.plain_sizes:
            for budget in options.chunks:
                print(row(f"chunks of {int(budget):,}", spans, measure(budget, spans, sys.argv[1:])), flush=True)
        return
    found: dict[str, dict[int, dict[str, float]]] = {"plain": {}, "cached": {}}
    for mode, sizes in (("plain", options.plain_sizes), ("cached", options.sizes)):
        for spans in sizes:
            one = measure(mode, spans, sys.argv[1:])
            print(row(mode, spans, one), flush=True)
            if one is not None:
                found[mode][spans] = one
    if not (found["plain"] and found["cached"]):
        return
    plain, cached = found["plain"], found["cached"]
    first, last, largest = min(cached), max(cached), max(plain)
    growth = cached[last]["peak"] / cached[first]["peak"]
    print(f"\ncached, {first:,} to {last:,} spans: peak memory x {growth:.3f}")
    time_ratio = (cached[last]["seconds"] / last) / (plain[largest]["seconds"] / largest)
    print(f"time a span, cached at {last:,} against plain at {largest:,} spans: x {time_ratio:.2f}")


if __name__ == "__main__":
    main()
