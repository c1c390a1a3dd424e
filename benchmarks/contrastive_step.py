"""A contrastive step: `DeclutrTrainer` against sentence-transformers' trainer, on the same span pairs.

python benchmarks/contrastive_step.py
python benchmarks/contrastive_step.py --pairs 64 --longest 126

Pairs of spans of 16 to 256 tokens as the span sampler draws them, one positive an anchor, no masked LM, the same
untrained encoder. The other side: `SentenceTransformerTrainer` with `MultipleNegativesRankingLoss`, scale 20, all four
directions, so that the loss is the same one; it reads anchors and positives apart, each padded to the longest.
Forward and backward pass of collated batches, without the optimizer; each side in a process of its own. The losses are
compared first, without dropout.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from made_up_training import collated, in_a_process, made_up_documents, made_up_tokenizer, measured, untrained_encoder


def make_trainer(options: argparse.Namespace, folder: str) -> Any:
    """Return a `DeclutrTrainer` without masked LM, one anchor and one positive a document."""
    from trainers import DeclutrArguments, DeclutrTrainer

    tokenizer = made_up_tokenizer(options.vocabulary)
    arguments = DeclutrArguments(
        folder,
        use_cpu=True,
        mlm_weight=0.0,
        num_anchors=1,
        num_positives=1,
        min_span_length=options.shortest,
        max_span_length=options.longest,
    )
    model = untrained_encoder("bert", options.layers, options.hidden_size, options.dropout, tokenizer)
    documents = made_up_documents(options.pairs, options.vocabulary)
    trainer = DeclutrTrainer(model, arguments, processing_class=tokenizer, train_dataset=documents)
    trainer.current_gradient_accumulation_steps = 1
    return trainer


def texts_of(trainer: Any, batch: dict[str, Any]) -> dict[str, list[str]]:
    """Return the spans of a batch as texts, which the tokenizer makes the same ids of again."""
    texts = trainer.processing_class.batch_decode(batch["input_ids"], skip_special_tokens=True)
    return {
        "anchor": [texts[row] for row in batch["anchor_rows"].tolist()],
        "positive": [texts[row] for row in batch["positive_rows"][:, 0].tolist()],
    }


def peer(trainer: Any, few: dict[str, Any], batch: dict[str, Any], options: argparse.Namespace, folder: str) -> Any:
    """Return sentence-transformers' trainer with the trainer's encoder, and the two batches as it collates them."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.models import Pooling, Transformer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    from modeling.masked_positions import inner_model

    inner_model(trainer.model).base_model.save_pretrained(folder)
    trainer.processing_class.save_pretrained(folder)
    model = SentenceTransformer(modules=[Transformer(folder), Pooling(options.hidden_size)], device="cpu")
    directions = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
    loss = MultipleNegativesRankingLoss(model, scale=20.0, directions=directions, partition_mode="joint")
    arguments = SentenceTransformerTrainingArguments(folder, use_cpu=True, per_device_train_batch_size=options.pairs)
    theirs = SentenceTransformerTrainer(
        model, arguments, train_dataset=Dataset.from_dict(texts_of(trainer, batch)), loss=loss
    )
    theirs.current_gradient_accumulation_steps = 1
    batches = []
    for one in (few, batch):
        pairs = texts_of(trainer, one)
        rows = [dict(zip(pairs, texts, strict=True)) for texts in zip(*pairs.values(), strict=True)]
        batches.append(theirs.data_collator(rows))
    for name in ("anchor", "positive"):  # special tokens and all, the spans are the same
        rows = batch["anchor_rows"] if name == "anchor" else batch["positive_rows"][:, 0]
        width = batches[1][f"{name}_input_ids"].shape[1]
        assert bool((batches[1][f"{name}_input_ids"] == batch["input_ids"][rows, :width]).all())
    return theirs, *batches


def work(options: argparse.Namespace) -> dict[str, Any]:
    """Measure one side in this process."""
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(options, folder)
        few, batch = collated(trainer, 2), collated(trainer, options.pairs)
        facts = {"tokens": int(batch["attention_mask"].sum()), "pairs": options.pairs}
        if options.side == "sentence-transformers":
            trainer, few, batch = peer(trainer, few, batch, options, folder)

        def step(rows: dict[str, Any]) -> None:
            trainer.training_step(trainer.model, dict(rows), torch.tensor(1))
            trainer.model.zero_grad()

        trainer.model.eval()
        with torch.no_grad():
            facts["loss"] = trainer.compute_loss(trainer.model, dict(few)).item()
        trainer.model.train()
        found = measured(_on(step, batch), _on(step, few), options.steps)
    return found | facts


def _on(step: Callable[[dict[str, Any]], None], rows: dict[str, Any]) -> Callable[[], None]:
    return lambda: step(rows)


def main() -> None:
    """Measure both and print a table and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--shortest", type=int, default=16, help="span in tokens")
    parser.add_argument("--longest", type=int, default=254, help="span in tokens, two special tokens not counted")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden_size", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=7_466)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=3, help="the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(work(options)))
        return
    print("| | pairs | real tokens | processor s | s | pairs/s | peak MiB (above the start) |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    found = []
    for side in ("ours", "sentence-transformers"):
        one = in_a_process(__file__, sys.argv[1:], side, options.threads)
        if one is None:
            sys.exit(1)
        found.append(one)
        print(
            f"| {side} | {one['pairs']} | {one['tokens']:,} | {one['processor']:.2f} | {one['clock']:.2f} | "
            f"{one['pairs'] / one['clock']:.1f} | {one['peak']:,.0f} ({one['above']:,.0f}) |",
            flush=True,
        )
    ours, other = found
    print(
        f"\nours against sentence-transformers: x {other['processor'] / ours['processor']:.2f} in processor time, "
        f"x {other['clock'] / ours['clock']:.2f} by the clock"
    )
    print(f"losses of two pairs without dropout: {ours['loss']:.6f} and {other['loss']:.6f}")


if __name__ == "__main__":
    main()
