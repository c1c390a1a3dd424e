"""Span sampling: documents and spans a second beside the original algorithm, and its share of a training step.

python benchmarks/span_sampling.py

The original (Giorgi et al. 2021) draws anchors and positives of one document after the other in plain Python, and takes
each span from token ids to text and back to token ids. It is timed with that way and without. Ours draws from the same
distribution (`compatible`) on token ids. The second table is the time that the collator takes, with masking and
padding, beside that of the forward and backward pass of the same batches. Processor time of one process, in turn,
median.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import time
from collections.abc import Callable

import numpy as np

from collators.randomness import document_generator
from collators.spans import SpanOptions, sample_spans

Span = tuple[int, int]


def original_spans(length: int, options: SpanOptions, generator: random.Random) -> list[tuple[Span, list[Span]]]:
    """Sample one document as the original does, in plain Python.

    Args:
        length: Tokens of the document; at least `2 * num_anchors * max_length`.
        options: What to sample; positives overlap the anchor or lie next to it.
        generator: Source of randomness.
    """
    shortest, longest = options.min_length, options.max_length
    blocks = list(range(0, length - longest + 1, longest))
    spans = []
    for done in range(options.num_anchors):
        size = int(generator.betavariate(4, 2) * (longest - shortest) + shortest)
        left = options.num_anchors - done
        if len(blocks) // left < left:
            place = generator.choice((0, len(blocks) - 1))
        else:
            place = generator.randrange(len(blocks))
        start = generator.randint(blocks[place], blocks[place] + longest - size)
        del blocks[max(0, place - 1) : place + 2]
        positives = []
        for _ in range(options.num_positives):
            around = int(generator.betavariate(2, 4) * (longest - shortest) + shortest)
            first = generator.randint(max(0, start - around), min(start + size, length - around))
            positives.append((first, first + around))
        spans.append(((start, start + size), positives))
    return spans


def median_seconds(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median processor time of each function, run in turn."""
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            started = time.process_time()
            function()
            found[name].append(time.process_time() - started)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def make_documents(count: int, length: int) -> tuple[list[np.ndarray], object]:
    """Return token ids of made-up documents and the tokenizer that was trained on their words."""
    from datasets import Dataset

    from collators.special_tokens import token_ids
    from modeling.from_scratch import train_tokenizer

    generator = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["".join(generator.choices(letters, k=generator.randint(3, 10))) for _ in range(5000)]
    texts = [" ".join(generator.choices(vocabulary, k=length)) for _ in range(count)]
    tokenizer = train_tokenizer(Dataset.from_dict({"text": texts[:100]}), 4000)
    return [np.array(ids[:length]) for ids in token_ids(tokenizer, texts)], tokenizer


def compare_samplers(documents: list[np.ndarray], tokenizer: object, options: SpanOptions, repeats: int) -> None:
    """Print documents and spans a second of both samplers, without and with the tokens of the spans."""
    from collators.special_tokens import token_ids

    lists = [ids.tolist() for ids in documents]
    generator, epochs = random.Random(0), itertools.count()

    def original() -> None:
        for ids in lists:
            original_spans(len(ids), options, generator)

    def original_with_text() -> None:
        for ids in lists:
            for anchor, positives in original_spans(len(ids), options, generator):
                for start, end in (anchor, *positives):
                    token_ids(tokenizer, [tokenizer.decode(ids[start:end])])

    def ours() -> None:
        epoch = next(epochs)
        for number, ids in enumerate(documents):
            sample_spans(len(ids), options, document_generator(0, epoch, f"note-{number}"))

    def ours_with_tokens() -> None:
        epoch = next(epochs)
        for number, ids in enumerate(documents):
            spans = sample_spans(len(ids), options, document_generator(0, epoch, f"note-{number}"))
            for start, end in (*spans.anchors.tolist(), *spans.positives.reshape(-1, 2).tolist()):
                ids[start:end].copy()

    seconds = median_seconds(
        {
            "positions, original": original,
            "positions, ours": ours,
            "token ids, original": original_with_text,
            "token ids, ours": ours_with_tokens,
        },
        repeats,
    )
    spans = options.num_anchors * (1 + options.num_positives)
    print("| | documents/s | spans/s | ratio |\n|---|---:|---:|---:|")
    for what in ("positions", "token ids"):
        slow, fast = (len(documents) / seconds[f"{what}, {who}"] for who in ("original", "ours"))
        print(f"| {what}, original in plain Python | {slow:,.0f} | {slow * spans:,.0f} | |")
        print(f"| {what}, ours | {fast:,.0f} | {fast * spans:,.0f} | {fast / slow:.1f} |")


def share_of_a_step(
    documents: list[np.ndarray], tokenizer: object, options: SpanOptions, batch: int, steps: int
) -> None:
    """Print the time of the collator beside that of forward and backward on its batches."""
    import torch

    from collators.declutr import DeclutrCollator
    from modeling.from_scratch import EncoderSize, scratch_config, untrained_model
    from modeling.masked_positions import forward_masked_positions

    collator = DeclutrCollator(tokenizer, options)
    model = untrained_model(scratch_config("roberta", EncoderSize(256, 4, 4, None, 512, 0.1), tokenizer)).train()
    collated, stepped = [], []
    for step in range(steps):
        features = [
            {
                "input_ids": documents[(step * batch + place) % len(documents)],
                "document_id": f"note-{step * batch + place}",
                "epoch": 0,
                **dict.fromkeys(("document_key", "patient_key", "content_key"), place),
            }
            for place in range(batch)
        ]
        started = time.process_time()
        inputs = collator(features)
        between = time.process_time()
        hidden, logits = forward_masked_positions(
            model, inputs["input_ids"], inputs["attention_mask"], inputs["labels"] != -100
        )
        targets = inputs["labels"][inputs["labels"] != -100]
        (torch.nn.functional.cross_entropy(logits, targets) + hidden.square().mean()).backward()
        collated.append(between - started)
        stepped.append(time.process_time() - between)
    collating, stepping = statistics.median(collated), statistics.median(stepped)
    print("\n| | ms |\n|---|---:|")
    print(f"| span sampling, masking and padding of {batch} documents | {1000 * collating:.2f} |")
    print(f"| forward and backward, 4 x 256 encoder | {1000 * stepping:.0f} |")
    print(f"| share | {collating / (collating + stepping):.2%} |")


def main() -> None:
    """Time both and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--length", type=int, default=1100, help="tokens of a document")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8, help="documents of a step")
    parser.add_argument("--steps", type=int, default=3, help="0 leaves out the second table")
    arguments = parser.parse_args()
    options = SpanOptions(2, 2, 8, 256, compatible=True)
    documents, tokenizer = make_documents(arguments.documents, arguments.length)
    compare_samplers(documents, tokenizer, options, arguments.repeats)
    if arguments.steps:
        share_of_a_step(documents, tokenizer, options, arguments.batch, arguments.steps)


if __name__ == "__main__":
    main()
