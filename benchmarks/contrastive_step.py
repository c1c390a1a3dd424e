"""A contrastive step: `DeclutrTrainer` against sentence-transformers' trainer, on the same span pairs.

python benchmarks/contrastive_step.py
python benchmarks/contrastive_step.py --lengths uniform
python benchmarks/contrastive_step.py --pairs 64 --longest 126

Pairs of spans of 16 to 256 tokens, one positive an anchor, no masked LM, the same untrained encoder. Lengths are those
of the span sampler, whose anchors are long and whose positives are short, or evenly spread over the whole range. The
other side: `SentenceTransformerTrainer` with `MultipleNegativesRankingLoss` and its defaults; it reads anchors and
positives apart, each padded to the longest. That both read the same tokens is checked. Forward and backward pass of
collated batches, without the optimizer, the two in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

from made_up_training import collated, made_up_documents, made_up_tokenizer, untrained_encoder


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


def evenly_spread(batch: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return a batch whose spans are of lengths from the shortest to the longest, each as likely as the other."""
    import torch

    generator = torch.Generator().manual_seed(0)
    ids = batch["input_ids"]
    begin, end = ids[0, 0], ids[0, int(batch["attention_mask"][0].sum()) - 1]
    inner = torch.randint(options.shortest, options.longest + 1, (len(ids),), generator=generator)
    places = torch.arange(int(inner.max()) + 2)
    words = ids[batch["attention_mask"].bool() & (ids != begin) & (ids != end)]
    drawn = words[torch.randint(len(words), (len(ids), len(places)), generator=generator)]
    mask = places < inner[:, None] + 2
    drawn[:, 0], drawn[~mask] = begin, batch["input_ids"][~batch["attention_mask"].bool()][0]
    drawn[torch.arange(len(ids)), inner + 1] = end
    labels = torch.full((len(batch["labels"]), drawn.shape[1]), -100)  # no masked LM
    return {**batch, "input_ids": drawn, "attention_mask": mask.to(batch["attention_mask"].dtype), "labels": labels}


def texts_of(trainer: Any, batch: dict[str, Any]) -> dict[str, list[str]]:
    """Return the spans of a batch as texts, which the tokenizer makes the same ids of again."""
    texts = trainer.processing_class.batch_decode(batch["input_ids"], skip_special_tokens=True)
    return {
        "anchor": [texts[row] for row in batch["anchor_rows"].tolist()],
        "positive": [texts[row] for row in batch["positive_rows"][:, 0].tolist()],
    }


def peer(trainer: Any, batch: dict[str, Any], options: argparse.Namespace, folder: str) -> tuple[Any, dict[str, Any]]:
    """Return sentence-transformers' trainer with the same encoder, and the batch as it collates it."""
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
    loss = MultipleNegativesRankingLoss(model)
    arguments = SentenceTransformerTrainingArguments(folder, use_cpu=True, per_device_train_batch_size=options.pairs)
    pairs = texts_of(trainer, batch)
    theirs = SentenceTransformerTrainer(model, arguments, train_dataset=Dataset.from_dict(pairs), loss=loss)
    theirs.current_gradient_accumulation_steps = 1
    collated_pairs = theirs.data_collator([theirs.train_dataset[row] for row in range(options.pairs)])
    for name, rows in (("anchor", batch["anchor_rows"]), ("positive", batch["positive_rows"][:, 0])):
        ids = collated_pairs[f"{name}_input_ids"]
        assert bool((ids == batch["input_ids"][rows, : ids.shape[1]]).all())
    return theirs, collated_pairs


def main() -> None:
    """Measure both in turn and print a table and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--shortest", type=int, default=16, help="span in tokens")
    parser.add_argument("--longest", type=int, default=254, help="span in tokens, two special tokens not counted")
    parser.add_argument("--lengths", choices=("sampler", "uniform"), default="sampler")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden_size", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=7_466)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=3, help="the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        ours = make_trainer(options, folder)
        batch = collated(ours, options.pairs)
        if options.lengths == "uniform":
            batch = evenly_spread(batch, options)
        theirs, other = peer(ours, batch, options, folder)
        sides = {"ours": (ours, batch), "sentence-transformers": (theirs, other)}
        best = dict.fromkeys(sides, (float("inf"), float("inf")))
        for number in range(options.rounds + 1):
            for name, (trainer, rows) in sides.items():
                start = time.process_time(), time.perf_counter()
                trainer.training_step(trainer.model, dict(rows), torch.tensor(1))
                spent = time.process_time() - start[0], time.perf_counter() - start[1]
                trainer.model.zero_grad()
                if number:  # the first round warms up
                    best[name] = tuple(map(min, spent, best[name]))
    print("| | pairs | real tokens | processor s | s | pairs/processor s |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, (processor, clock) in best.items():
        print(
            f"| {name} | {options.pairs} | {int(batch['attention_mask'].sum()):,} | {processor:.2f} | {clock:.2f} | "
            f"{options.pairs / processor:.1f} |"
        )
    ratios = [second / first for first, second in zip(*best.values(), strict=True)]
    print(f"\nours against sentence-transformers: x {ratios[0]:.2f} in processor time, x {ratios[1]:.2f} by the clock")


if __name__ == "__main__":
    main()
