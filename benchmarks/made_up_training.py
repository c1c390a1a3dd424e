"""What the benchmarks of training steps share: made-up documents, untrained encoders, steps measured in a process."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def made_up_tokenizer(vocabulary: int) -> PreTrainedTokenizerBase:
    """Return a tokenizer of words w0, w1, ..., each of which is one token."""
    from transformers import BertTokenizer

    words = [*SPECIAL_TOKENS, *(f"w{number}" for number in range(vocabulary - len(SPECIAL_TOKENS)))]
    return BertTokenizer(vocab={word: number for number, word in enumerate(words)}, model_max_length=512)


def made_up_documents(count: int, vocabulary: int, shortest: int = 1024, longest: int = 1536) -> Dataset:
    """Return documents of random token ids, in the form of `collators.tokenize_documents`."""
    from datasets import Dataset

    random, keys = np.random.default_rng(0), list(range(count))
    ids = [random.integers(len(SPECIAL_TOKENS), vocabulary, random.integers(shortest, longest + 1)) for _ in keys]
    return Dataset.from_dict(
        {
            "input_ids": ids,
            "document_id": [str(key) for key in keys],
            **dict.fromkeys(("document_key", "patient_key", "content_key"), keys),
        }
    )


def untrained_encoder(
    family: str, layers: int, hidden_size: int, dropout: float, tokenizer: PreTrainedTokenizerBase
) -> PreTrainedModel:
    """Return a masked language model with random weights and heads of 64."""
    from transformers import set_seed

    from modeling.from_scratch import EncoderSize, scratch_config, untrained_model

    set_seed(0)
    size = EncoderSize(hidden_size, layers, max(1, hidden_size // 64), dropout=dropout)
    return untrained_model(scratch_config(family, size, tokenizer))


def collated(trainer: Any, documents: int) -> dict[str, Any]:
    """Return the batch of a trainer's first documents, on its device."""
    features = [trainer.train_dataset[number] for number in range(documents)]
    return trainer._prepare_inputs(trainer.data_collator(features))


def measured(step: Callable[[], object], warm_up: Callable[[], object], steps: int) -> dict[str, float]:
    """Run a step and return its least processor seconds and seconds, and the peak memory in MiB.

    Memory: the device's where there is one, else the largest resident size of this process; `above` is what came on
    top after `warm_up`, which should be a very small step.
    """
    import torch

    gpu = torch.cuda.is_available()
    warm_up()
    if gpu:
        step()  # kernels are chosen and loaded
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 2**20
    else:
        before = peak_mebibytes()
    processor, clock = [], []
    for _ in range(steps):
        start = time.process_time(), time.perf_counter()
        step()
        if gpu:
            torch.cuda.synchronize()
        processor.append(time.process_time() - start[0])
        clock.append(time.perf_counter() - start[1])
    peak = torch.cuda.max_memory_allocated() / 2**20 if gpu else peak_mebibytes()
    return {"processor": min(processor), "clock": min(clock), "peak": peak, "above": peak - before}


def peak_mebibytes() -> float:
    """Return the largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def in_a_process(script: str, arguments: Sequence[str], side: str, threads: int) -> dict[str, Any] | None:
    """Run one side of a benchmark, `SCRIPT ... --side SIDE`, and read the JSON that it prints last.

    None when it did not get through, most often for lack of memory; what it said is on stderr.
    """
    command = [sys.executable, script, *arguments, "--side", side]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        print(f"{side}: {(result.stderr.strip().splitlines() or ['no message'])[-1]}", file=sys.stderr)
        return None
    return json.loads(result.stdout.splitlines()[-1])
