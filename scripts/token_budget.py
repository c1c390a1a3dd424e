"""How many steps a training run takes to read a given number of tokens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainers.base import AdaptationTrainer

SAMPLE = 512
BATCH = 32


def tokens_a_step(trainer: AdaptationTrainer) -> float:
    """Return the mean number of real tokens, padding not counted, that the encoder reads in a step of all processes.

    Objectives read a document in parts of their own (rows, spans, windows), so the collator itself is asked, for up to
    512 examples spread evenly over the training set, as of the first epoch. Nothing is drawn from a shared generator:
    collators depend on seed, epoch and document alone.

    Args:
        trainer: Before its training.
    """
    dataset, args = trainer.train_dataset, trainer.args
    count = min(SAMPLE, len(dataset))
    places = [number * len(dataset) // count for number in range(count)]
    read = 0
    for start in range(0, count, BATCH):
        batch = trainer.data_collator([dataset[place] for place in places[start : start + BATCH]])
        read += int(batch["attention_mask"].sum())
    examples = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    return read / count * examples


def steps_for_tokens(trainer: AdaptationTrainer, tokens: int) -> int:
    """Return the number of steps that read about so many tokens, at least one.

    Args:
        trainer: Before its training.
        tokens: The budget.
    """
    return max(1, math.floor(tokens / tokens_a_step(trainer) + 0.5))
