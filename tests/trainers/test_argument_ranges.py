"""Numbers out of range are told when the arguments are made, for every way of training."""

import math

import pytest

from trainers import MlmArguments
from trainers.tagging_arguments import TaggingArguments


@pytest.mark.parametrize("arguments", [MlmArguments, TaggingArguments])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", -1.0),
        ("learning_rate", math.nan),
        ("head_learning_rate", -1e-3),
        ("weight_decay", -1.0),
        ("per_device_train_batch_size", 0),
        ("per_device_train_batch_size", -1),
        ("per_device_eval_batch_size", 0),
        ("gradient_accumulation_steps", 0),
        ("num_train_epochs", -1.0),
        ("adam_beta1", 1.0),
        ("save_steps", 0),
        ("seed", -1),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, name, value, tmp_path):
    with pytest.raises(ValueError, match=f"^{name} must .*{value}$"):
        arguments(output_dir=tmp_path, use_cpu=True, **{name: value})


def test_the_least_numbers_pass(tmp_path):
    least = {"learning_rate": 0.0, "weight_decay": 0.0, "per_device_train_batch_size": 1, "num_train_epochs": 0}
    MlmArguments(output_dir=tmp_path, use_cpu=True, eval_strategy="steps", save_strategy="no", save_steps=0, **least)
