"""A step of masked language modelling: `MlmTrainer` against transformers' `Trainer`.

python benchmarks/mlm_step.py
python benchmarks/mlm_step.py --vocabulary 7466

Rows of 256 random tokens without padding, an untrained encoder of 4 layers of 256. The other side: `Trainer` with
`DataCollatorForLanguageModeling`, which computes logits at every position. Forward and backward pass, without the
optimizer; each side in a process of its own; collation is timed apart.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from typing import Any

import numpy as np
from made_up_training import SPECIAL_TOKENS, in_a_process, made_up_tokenizer, measured, untrained_encoder


def make_trainer(options: argparse.Namespace, folder: str) -> tuple[Any, list[dict[str, Any]]]:
    """Return the trainer of a side, and the rows of a batch."""
    from datasets import Dataset
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

    from trainers import MlmArguments, MlmTrainer

    random = np.random.default_rng(0)
    first, last = (made_up_tokenizer(options.vocabulary).convert_tokens_to_ids(name) for name in ("[CLS]", "[SEP]"))
    ids = random.integers(len(SPECIAL_TOKENS), options.vocabulary, (options.rows, options.length))
    ids[:, 0], ids[:, -1] = first, last
    columns = {"input_ids": list(ids), "document_id": [str(row) for row in range(options.rows)]}
    tokenizer = made_up_tokenizer(options.vocabulary)
    model = untrained_encoder("bert", options.layers, options.hidden_size, options.dropout, tokenizer)
    settings = {"use_cpu": True, "bf16": options.bf16}
    if options.side == "ours":
        trainer = MlmTrainer(
            model,
            MlmArguments(folder, **settings),
            processing_class=tokenizer,
            train_dataset=Dataset.from_dict(columns),
        )
    else:
        trainer = Trainer(
            model,
            TrainingArguments(folder, **settings),
            data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15, seed=0),
            train_dataset=Dataset.from_dict({"input_ids": columns["input_ids"]}),
        )
    trainer.current_gradient_accumulation_steps = 1
    trainer.model = trainer.accelerator.prepare_model(trainer.model)  # autocast
    return trainer, [trainer.train_dataset[row] for row in range(options.rows)]


def work(options: argparse.Namespace) -> dict[str, Any]:
    """Measure one side in this process."""
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        trainer, rows = make_trainer(options, folder)
        trainer.data_collator(rows)
        start = time.process_time()
        batch = trainer.data_collator(rows)
        collation = time.process_time() - start

        def step(batch: dict[str, Any]) -> None:
            items = trainer._get_num_items_in_batch([batch], torch.device("cpu"))
            trainer.training_step(trainer.model, dict(batch), items)
            trainer.model.zero_grad()

        few = {name: batch[name][:1] for name in ("input_ids", "attention_mask", "labels")}
        found = measured(lambda: step(batch), lambda: step(few), options.steps)
    return found | {"tokens": options.rows * options.length, "collation": collation}


def main() -> None:
    """Measure both and print a table and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, default=50_265)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden_size", type=int, default=256)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--bf16", action="store_true", help="on both sides; faster where the processor has it")
    parser.add_argument("--steps", type=int, default=3, help="the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(work(options)))
        return
    print("| | tokens | processor s | s | tokens/s | peak MiB (above the start) | collation ms |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    found = []
    for side in ("ours", "transformers"):
        one = in_a_process(__file__, sys.argv[1:], side, options.threads)
        if one is None:
            sys.exit(1)
        found.append(one)
        print(
            f"| {side} | {one['tokens']:,} | {one['processor']:.2f} | {one['clock']:.2f} | "
            f"{one['tokens'] / one['clock']:,.0f} | {one['peak']:,.0f} ({one['above']:,.0f}) | "
            f"{1e3 * one['collation']:.1f} |",
            flush=True,
        )
    ours, other = found
    print(
        f"\nours against transformers: x {other['processor'] / ours['processor']:.2f} in processor time, "
        f"x {other['clock'] / ours['clock']:.2f} by the clock; peak memory x {ours['peak'] / other['peak']:.2f}"
    )


if __name__ == "__main__":
    main()
