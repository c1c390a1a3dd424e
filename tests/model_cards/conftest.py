"""Made-up checkpoints and results for model cards, and a Hub on the loopback interface."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

_spec = importlib.util.spec_from_file_location("hub_server", Path(__file__).with_name("hub_server.py"))
hub_server = importlib.util.module_from_spec(_spec)
# dataclasses look their module up there, and so do the tests.
sys.modules["hub_server"] = hub_server
_spec.loader.exec_module(hub_server)


@pytest.fixture
def hub(monkeypatch):
    """A Hub that answers, and a client in this process that may ask it."""
    import huggingface_hub
    from huggingface_hub import constants

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    huggingface_hub.close_session()
    with hub_server.LoopbackHub() as hub:
        yield hub
    huggingface_hub.close_session()


@pytest.fixture
def hub_environment(hub, tmp_path):
    """The environment of a process that uses the Hub."""
    plain = {name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")}
    return {
        **plain,
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": hub_server.TOKEN,
        "HF_HOME": str(tmp_path / "caches"),
        "HF_HUB_DISABLE_XET": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


@pytest.fixture
def training():
    """What pretrain.py writes of a run, in short."""
    return {
        "schema_version": 1,
        "objective": "declutr",
        "base_model": "clinical-base",
        "base_model_id": "example/clinical-base",
        "earlier_trainings": [],
        "model_type": "roberta",
        "parameters": 12_345,
        "documents": {"train": {"documents": 40, "kept": 38, "tokens": 4_321}},
        "corpus": {
            "splits": {"train": {"documents": 40, "patients": 20, "categories": {"Nursing": 26, "Radiology": 14}}},
            "preparation": {
                "documents_read": 50,
                "documents_kept": 40,
                "dropped": {"exact duplicate": 10},
                "deid_placeholders": 7,
                "near_duplicates": 2,
            },
        },
        "steps": 1_200,
        "epochs": 3.0,
        "metrics": {"eval_loss": 1.25, "train_runtime": 9.0},
        "losses": [
            {"step": 600, "loss": 2.5, "eval_loss": 1.5},
            {"step": 1_200, "loss": 2.0, "eval_loss": 1.25},
        ],
        "settings": {
            "num_anchors": 2,
            "min_span_length": 8,
            "max_span_length": 256,
            "positive_strategy": ["overlapping"],
            "temperature": 0.05,
            "mlm_weight": 1.0,
            "mlm_probability": 0.15,
            "whole_word_mask": False,
            "learning_rate": 5e-5,
            "lr_scheduler_type": "linear",
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 2,
            "bf16": True,
            "seed": 7,
        },
        "processes": 2,
        "device": "NVIDIA H100 80GB HBM3",
        "versions": {"python": "3.11.7", "notespace": "0.1.0"},
        "seconds": 7_260.0,
    }


@pytest.fixture
def checkpoint(make_model, training, tmp_path):
    """A folder as `AdaptationTrainer.export` leaves it, with its summary."""
    from modeling.sentence_transformers_files import write_sentence_transformers_files

    model, tokenizer = make_model("roberta")
    folder = tmp_path / "adapted"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # As `AdaptationTrainer` does, but without touching the tokenizer that all tests share.
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 64}))
    write_sentence_transformers_files(folder, 16, 64)
    (folder / "training_summary.json").write_text(json.dumps(training))
    return folder


@pytest.fixture(scope="session")
def make_tagger(make_encoder):
    """Return a function that saves a tiny untrained tagger of drugs and signs, whose scores differ between words."""

    def make(folder):
        import torch

        from modeling.tagger import TokenTagger

        torch.manual_seed(0)
        tagger = TokenTagger.from_encoder(make_encoder("bert"), ["Drug", "Sign"], scheme="BIOES")
        torch.nn.init.normal_(tagger.classifier.weight)
        tagger.save_pretrained(folder)
        tagger.tokenizer().save_pretrained(folder)
        return folder

    return make


@pytest.fixture
def write_classification(tmp_path):
    """Return a function that writes results as classify.py does."""

    def write(models=("base", "adapted"), label="specialty", labels=("a", "b", "c"), name="classify", shots=(8, None)):
        folder = tmp_path / name
        (folder / "cells").mkdir(parents=True)
        generator = np.random.default_rng(0)
        targets = np.arange(60) % len(labels)
        np.savez(folder / "test_targets.npz", targets=targets, document_ids=np.arange(60).astype(str))
        cells = []
        systems = [(None, "majority"), (None, "tfidf"), *((model, "logistic_regression") for model in models)]
        for number, (model, method) in enumerate(systems):
            for count in shots:
                for seed in range(2):
                    scores = generator.random((60, len(labels))) + (0.2 * number) * np.eye(len(labels))[targets]
                    probabilities = scores / scores.sum(1, keepdims=True)
                    path = f"cells/{number}-{count}-{seed}.npz"
                    np.savez(folder / path, probabilities=probabilities)
                    cells.append(
                        {
                            "id": path,
                            "model": model,
                            "method": method,
                            "reading": "windows" if model else None,
                            "frozen": "all" if model else None,
                            "shots": count,
                            "seed": seed,
                            "trained_parameters": None,
                            "seconds": 1.0,
                            "metrics": {"accuracy": float((probabilities.argmax(1) == targets).mean())},
                            "predictions": path,
                        }
                    )
        content = {
            "schema_version": 1,
            "kind": "classification",
            "label_column": label,
            "task": "single_label",
            "labels": list(labels),
            "documents": {"train": 100, "validation": 20, "test": 60},
            "corpus_digest": "d",
            "cells": cells,
        }
        (folder / "results.json").write_text(json.dumps(content))
        return folder

    return write


@pytest.fixture
def write_space(tmp_path):
    """Return a function that writes the part of the results of analyse_embeddings.py that a card reads."""

    def write(models=("base", "adapted"), label="specialty", name="space"):
        folder = tmp_path / name
        folder.mkdir()
        measures = [
            {
                "uniformity": {"value": -1.0 - number, "low": -1.1 - number, "high": -0.9 - number},
                "silhouette": {"value": None, "low": None, "high": None},
                "retrieval_map": {"value": 0.25 + number / 8, "low": None, "high": None},
            }
            for number in range(len(models))
        ]
        content = {
            "schema_version": 1,
            "kind": "embedding_space",
            "documents": 60,
            "label_column": label,
            "models": [{"name": name, "measures": one} for name, one in zip(models, measures, strict=True)],
        }
        (folder / "results.json").write_text(json.dumps(content))
        return folder

    return write
