"""`torch_compile`: the same training, and one graph for batches of every length."""

import os

import pytest
import torch
from torch._dynamo.utils import counters

from collators import keep_long_enough, tokenize_documents
from modeling.unpadded import is_unpadded
from trainers import DeclutrArguments, DeclutrTrainer, MlmArguments


@pytest.fixture
def train(make_model, notes, tmp_path, monkeypatch):
    """Train on spans of many lengths; return the trainer and the shapes of what its layers read."""
    for name in ("ACCELERATE_DYNAMO_BACKEND", "ACCELERATE_DYNAMO_MODE"):  # transformers leaves them set
        monkeypatch.setitem(os.environ, name, "no")
        monkeypatch.delitem(os.environ, name)

    def run(**options):
        torch.compiler.reset()
        counters.clear()
        model, tokenizer = make_model("bert")
        documents, _ = keep_long_enough(tokenize_documents(notes.select(range(12)), tokenizer), 8)
        arguments = DeclutrArguments(
            str(tmp_path),
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
            per_device_train_batch_size=3,
            min_span_length=4,
            max_span_length=56,
            num_anchors=1,
            learning_rate=1e-2,
            lr_scheduler_type="constant",
            **{"max_steps": 6, **options},
        )
        trainer = DeclutrTrainer(model, arguments, processing_class=tokenizer, train_dataset=documents)
        shapes = set()
        embeddings = model.base_model.embeddings
        embeddings.register_forward_hook(lambda _, __, output: shapes.add(tuple(output.shape[:2])))
        trainer.chunk_tokens = 150
        trainer.train()
        return trainer, shapes

    return run


def test_one_graph_serves_batches_of_every_length(train):
    """Lengths that are not rounded, to make it hard: without symbols each shape would be compiled anew."""
    plain, _ = train(unpadded=False, pad_to_multiple_of=1)
    assert not counters["stats"]
    compiled, shapes = train(torch_compile_backend="eager", pad_to_multiple_of=1)
    assert not is_unpadded(compiled.model)
    assert len(shapes) > 8
    # A batch of one row is a graph of its own, and so is one without padding, whose mask is left out.
    assert 1 <= counters["stats"]["unique_graphs"] <= 4
    assert not counters["graph_break"]
    for one, other in zip(plain.model.parameters(), compiled.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_lengths_are_rounded_under_compilation(train):
    _, shapes = train(torch_compile=True, torch_compile_backend="eager", max_steps=4)
    assert {length for _, length in shapes} == {32, 64}


def test_cached_gradients_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "ACCELERATE_DYNAMO_BACKEND", "no")
    with pytest.raises(ValueError, match="contrastive_mini_batch_tokens and torch_compile exclude each other"):
        DeclutrArguments(str(tmp_path), torch_compile=True, contrastive_mini_batch_tokens=100)
    assert MlmArguments(str(tmp_path), torch_compile=True, pad_to_multiple_of=8).pad_to_multiple_of == 8
