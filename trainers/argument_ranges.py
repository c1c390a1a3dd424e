"""Numbers of `transformers.TrainingArguments` that it takes as they come, and that fail later or train nothing."""

from __future__ import annotations

import math

from transformers import TrainingArguments

LEAST = {
    "learning_rate": 0,
    "head_learning_rate": 0,
    "crf_learning_rate": 0,
    "weight_decay": 0,
    "adam_epsilon": 0,
    "num_train_epochs": 0,
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "eval_accumulation_steps": 1,
    "dataloader_num_workers": 0,
    "seed": 0,
    "data_seed": 0,
}


def check_ranges(args: TrainingArguments) -> None:
    """Compare numbers with what they can be at least; those that are None, or that these arguments lack, pass.

    Raises:
        ValueError: One is too small, or not finite.
    """
    for name, least in LEAST.items():
        value = getattr(args, name, None)
        if value is not None and not (value >= least and math.isfinite(value)):
            raise ValueError(f"{name} must be at least {least}, got {value}")
    for name in ("adam_beta1", "adam_beta2"):
        if not 0 <= getattr(args, name) < 1:
            raise ValueError(f"{name} must lie in [0, 1), got {getattr(args, name)}")
    # Of evaluations, 0 stands for as many steps as between two logs.
    if args.save_strategy == "steps" and args.save_steps <= 0:
        raise ValueError(f"save_steps must be positive, got {args.save_steps}")
    if args.eval_strategy == "steps" and args.eval_steps is not None and args.eval_steps < 0:
        raise ValueError(f"eval_steps must not be negative, got {args.eval_steps}")
