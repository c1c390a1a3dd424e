"""What is logged of the embedding space while a model trains, and that training does not notice."""

import json
import math
import random

import numpy as np
import pytest
import torch
from transformers import set_seed

import pretrain
from collators import keep_long_enough, tokenize_documents
from collators.special_tokens import special_token_affixes
from corpora.errors import InputError
from metrics.clusters import silhouette
from modeling.pooling import pool
from trainers import DeclutrArguments, DeclutrTrainer
from trainers.space_callback import SpaceCallback, category_numbers, two_parts

NAMES = {"alignment", "uniformity", "mean_cosine", "silhouette"}


def make_trainer(make_model, notes, folder, watched=True, **options):
    model, tokenizer = make_model("bert", dropout=0.1)
    common = {"use_cpu": True, "disable_tqdm": True, "max_steps": 4, "per_device_train_batch_size": 4}
    common |= {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "no", "learning_rate": 1e-2}
    arguments = DeclutrArguments(
        str(folder), **{**common, "logging_steps": 1, "min_span_length": 4, "max_span_length": 24, **options}
    )
    documents, _ = keep_long_enough(tokenize_documents(notes, tokenizer), arguments.span_options().min_document_length)
    trainer = DeclutrTrainer(
        model,
        arguments,
        processing_class=tokenizer,
        train_dataset=documents.select(range(24)),
        eval_dataset=documents.select(range(24, 40)),
    )
    if watched:
        callback = SpaceCallback(trainer, documents.select(range(24, 40)), 12, "note_category", batch_size=5)
        trainer.add_callback(callback)
        return trainer, callback
    return trainer


def test_the_measures_are_those_of_single_documents(make_model, notes, tmp_path):
    trainer, callback = make_trainer(make_model, notes, tmp_path)
    found = callback.measure()
    assert set(found) == NAMES
    model = trainer.model.eval()

    def embed(row):
        with torch.no_grad():
            hidden = model.base_model(torch.tensor(row)[None])[0]
        return pool(hidden, torch.ones(1, len(row), dtype=torch.int64))[0].double().numpy()

    whole, first, second = (np.stack([embed(row) for row in rows]) for rows in (callback._documents, *callback._parts))
    assert len(whole) == 12 and max(map(len, callback._documents)) == 64
    whole, first, second = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (whole, first, second))
    cosines = (whole @ whole.T)[np.triu_indices(12, 1)]
    assert found["alignment"] == pytest.approx(((first - second) ** 2).sum(1).mean(), rel=1e-3)
    assert found["uniformity"] == pytest.approx(np.log(np.exp(-2 * (2 - 2 * cosines)).mean()), rel=1e-3)
    assert found["mean_cosine"] == pytest.approx(cosines.mean(), rel=1e-4)
    assert found["silhouette"] == pytest.approx(silhouette(whole, callback._categories), rel=1e-3)


def test_every_evaluation_is_logged_and_may_choose_the_best_model(make_model, notes, tmp_path):
    trainer, _ = make_trainer(
        make_model,
        notes,
        tmp_path,
        save_strategy="steps",
        save_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_space_uniformity",
        greater_is_better=False,
    )
    trainer.train()
    lines = [line for line in trainer.state.log_history if "eval_space_uniformity" in line]
    assert [line["step"] for line in lines] == [2, 4]
    assert all({f"eval_space_{name}" for name in NAMES} <= line.keys() for line in lines)
    assert lines[0]["eval_space_uniformity"] != lines[1]["eval_space_uniformity"]
    assert trainer.state.best_metric == min(line["eval_space_uniformity"] for line in lines)
    metrics = trainer.evaluate()
    assert metrics["eval_space_uniformity"] == pytest.approx(trainer.state.best_metric, rel=1e-6)


def test_training_does_not_notice(make_model, notes, tmp_path):
    alone = make_trainer(make_model, notes, tmp_path / "a", watched=False)
    watched, callback = make_trainer(make_model, notes, tmp_path / "b", save_strategy="steps", save_steps=2)
    again = make_trainer(make_model, notes, tmp_path / "c")[1]
    assert all(map(np.array_equal, callback._documents, again._documents))
    assert all(map(np.array_equal, callback._parts[1], again._parts[1]))
    states = []
    for trainer in (alone, watched):
        set_seed(5)
        trainer.train()
        states.append((torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()))
    assert states[0] == states[1]
    for one, other in zip(alone.model.parameters(), watched.model.parameters(), strict=True):
        assert torch.equal(one, other)
    resumed = make_trainer(make_model, notes, tmp_path / "b")[0]
    set_seed(5)  # as any run begins: it decides the order of the documents
    resumed.train(resume_from_checkpoint=str(tmp_path / "b" / "checkpoint-2"))
    for one, other in zip(watched.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)
    # In the middle of training the mode of the model stays, dropout off meanwhile.
    watched.model.train()
    assert callback.measure() == callback.measure() and watched.model.training


def test_embeddings_that_are_not_finite_end_no_training(make_model, notes, tmp_path):
    trainer, callback = make_trainer(make_model, notes, tmp_path)
    with torch.no_grad():
        next(trainer.model.base_model.parameters()).fill_(math.nan)
    found = callback.measure()
    assert set(found) == NAMES and all(map(math.isnan, found.values()))


def test_parts_lie_in_either_half():
    generator = np.random.default_rng(0)
    lengths = set()
    for tokens in [16, 17, 40, 300]:
        ids = np.arange(tokens)
        for _ in range(50):
            first, second = two_parts(ids, 30, generator)
            assert len(first) == len(second) <= 30 and len(first) >= 8
            assert first[-1] < tokens // 2 <= second[0]
            assert (np.diff(first) == 1).all() and (np.diff(second) == 1).all()
            lengths.add((tokens, len(first)))
    assert {length for tokens, length in lengths if tokens == 16} == {8}
    assert len(lengths) > 25


def test_numbers_of_categories():
    assert category_numbers(["b", None, "a", "b", " "]).tolist() == [1, -1, 0, 1, -1]
    assert category_numbers([2, 1, 2.0]).tolist() == [1, 0, 1]
    assert category_numbers(["a", None, "a"]) is None


def test_short_documents_have_no_parts(make_model, notes, tmp_path):
    trainer, _ = make_trainer(make_model, notes, tmp_path)
    short = notes.map(lambda row: {"text": row["text"][:8]})
    documents = tokenize_documents(short, trainer.processing_class)
    callback = SpaceCallback(trainer, documents, 6)
    found = callback.measure()
    assert set(found) == NAMES - {"silhouette"}
    assert math.isnan(found["alignment"]) and found["uniformity"] < 0
    prefix, suffix = special_token_affixes(trainer.processing_class)
    assert all([*prefix, *suffix] == [row[0], row[-1]] for row in callback._documents)


@pytest.mark.parametrize("objective", ["mlm", "note_category"])
def test_pretrain_logs_the_space(make_model, notes, tmp_path, monkeypatch, capsys, objective):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    model, tokenizer = make_model("roberta")
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    notes.select(range(24)).to_json(tmp_path / "train.jsonl")
    notes.select(range(24, 40)).to_json(tmp_path / "validation.jsonl")
    arguments = ["--objective", objective, "--model_name_or_path", tmp_path / "base"]
    arguments += ["--train_file", tmp_path / "train.jsonl", "--output_dir", tmp_path / "out", "--use_cpu"]
    arguments += ["--disable_tqdm", "--max_steps", 4, "--max_length", 32, "--per_device_train_batch_size", 4]
    arguments += ["--eval_strategy", "steps", "--eval_steps", 2, "--save_steps", 2, "--log_space", 10]
    arguments = list(map(str, arguments))
    with pytest.raises(InputError, match="--validation_file"):
        pretrain.main([word if word != "steps" else "no" for word in arguments])
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="at least 2 documents"):
        pretrain.main([*arguments, "--log_space", "1"])
    arguments += ["--validation_file", str(tmp_path / "validation.jsonl")]
    assert pretrain.main(arguments) == 0
    history = json.loads((tmp_path / "out" / "checkpoint-4" / "trainer_state.json").read_text())["log_history"]
    lines = [line for line in history if "eval_space_alignment" in line]
    assert [line["step"] for line in lines] == [2, 4]
    assert {f"eval_space_{name}" for name in NAMES} <= lines[0].keys()
    summary = json.loads((tmp_path / "out" / "training_summary.json").read_text())
    assert summary["metrics"]["eval_space_silhouette"] == pytest.approx(lines[1]["eval_space_silhouette"], rel=1e-5)
    assert "eval_space_mean_cosine" in capsys.readouterr().out
    # What is watched does not decide the result, so that a run may go on without.
    without = [word for word in arguments if word not in ("--log_space", "10")]
    assert pretrain.main(without) == 0
    assert "is finished already" in capsys.readouterr().out
