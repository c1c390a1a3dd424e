"""Tell the dataset which epoch begins."""

from __future__ import annotations

import math
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from collators.epochs import EpochDataset


class EpochCallback(TrainerCallback):
    """Calls `set_epoch` of an `EpochDataset`.

    Accelerate's loaders do that only in one process that was never resumed: with several processes, or after
    skipping batches, they set the epoch of the sampler *instead of* the dataset's (accelerate 1.15), and every epoch
    would draw the spans of the first.

    Args:
        dataset: The training dataset.
    """

    def __init__(self, dataset: EpochDataset) -> None:
        self._dataset = dataset

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the epoch, which is fractional when a run resumes inside one."""
        # Half a millionth guards against an epoch that was saved as 0.9999999.
        self._dataset.set_epoch(math.floor(state.epoch + 5e-7))
