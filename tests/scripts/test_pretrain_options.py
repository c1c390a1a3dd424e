"""Options of pretrain.py that are refused at once."""

import pytest

from pretrain_options import ModelOptions


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lora_rank": -1}, "--lora_rank is below 0; give 0 to train all weights"),
        ({"lora_dropout": 1.5}, "--lora_dropout is a share"),
        ({"num_hidden_layers": 0}, "--num_hidden_layers is below 1"),
        ({"hidden_size": -64}, "--hidden_size is below 1"),
        ({"num_attention_heads": 0}, "--num_attention_heads is below 1"),
        ({"intermediate_size": 0}, "--intermediate_size is below 1"),
        ({"window": 0}, "--window is below 1"),
        ({"dropout": -0.1}, "--dropout is a share"),
    ],
)
def test_a_size_that_is_none_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        ModelOptions(config_name="roberta", train_tokenizer=True, **options)


def test_the_least_of_each_is_taken():
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "window")
    ModelOptions(config_name="roberta", train_tokenizer=True, **dict.fromkeys(sizes, 1), dropout=0, lora_rank=0)
