"""The recipes of classify.py: every key an option, the study's settings, and one of them run."""

import json
import random
from pathlib import Path

import pytest
import yaml

import classify
from classify_options import ADAPTERS, TRAINED, ProtocolOptions, TrainingOptions
from command_line import RecipeParser
from corpora.errors import InputError
from corpora.label_tasks import LabelOptions
from corpora.mimic_triage import TRIAGE_CODES
from corpora.records import ReadingOptions

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
CLASSES = [ProtocolOptions, LabelOptions, TrainingOptions, ReadingOptions]


def parsed(name, *words):
    needed = ["--data", "notes", "--output_dir", "out", "--models", "base=base", *words]
    return RecipeParser(CLASSES).parse([str(RECIPES / name), *needed])


def test_every_recipe_names_known_options_and_the_settings_of_the_study():
    recipes = sorted(RECIPES.glob("classify_*.yaml"))
    assert {path.stem for path in recipes} >= {"classify_frozen", "classify_fine_tuned", "classify_mimic_triage"}
    for path in recipes:
        given = yaml.safe_load(path.read_text())
        label = [] if "label_column" in given else ["--label_column", "specialty"]
        found = {name: value for part in parsed(path.name, *label) for name, value in vars(part).items()}
        assert {name: str(found[name]) for name in given} == {
            name: str(float(value) if isinstance(found[name], float) else value) for name, value in given.items()
        }
        assert (found["head"], found["head_batch_size"], found["class_weights"]) == ("tanh", 32, "balanced")
        assert found["seeds"] >= 5


def test_the_recipe_of_frozen_encoders_is_what_the_script_does_by_itself():
    frozen, _, training, _ = parsed("classify_frozen.yaml", "--label_column", "specialty")
    default, _, by_default, _ = RecipeParser(CLASSES).parse(
        ["--data", "notes", "--output_dir", "out", "--models", "base=base", "--label_column", "specialty"]
    )
    assert training == by_default
    assert {**vars(frozen), "methods": 0} == {**vars(default), "methods": 0}
    assert not set(frozen.methods) & {"fine_tuned", *ADAPTERS}


def test_the_recipe_of_fine_tuning_holds_every_way_to_train_and_the_depths():
    protocol, _, training, _ = parsed("classify_fine_tuned.yaml", "--label_column", "specialty")
    assert set(protocol.methods) == set(TRAINED) and protocol.freeze == ["none", "embeddings", "3", "6", "9"]
    assert (protocol.readings, protocol.window_length) == (["head"], 512)
    assert training.train_batch_size * training.gradient_accumulation_steps == 32 and training.bf16


def test_a_reading_that_is_learnt_needs_a_method_that_learns_it():
    words = ["--data", "notes", "--output_dir", "out", "--models", "base=base", "--label_column", "specialty"]
    with pytest.raises(InputError, match="--readings attention is learnt: add one of --methods mlp"):
        RecipeParser(CLASSES).parse([*words, "--readings", "attention"])
    RecipeParser(CLASSES).parse([*words, "--readings", "attention", "--methods", "mlp"])


def test_the_triage_recipe_runs(make_model, tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    model, tokenizer = make_model("bert")
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    generator, teams = random.Random(0), list(TRIAGE_CODES)
    with (tmp_path / "notes.jsonl").open("w") as stream:
        for number in range(105):
            team, split = teams[number % 7], ["train", "train", "train", "validation", "test"][number // 7 % 5]
            text = " ".join([team, *generator.choices("fever cough pain clinic review".split(), k=100)])
            line = {"text": text, "document_id": f"d{number}", "triage_team": team, "split": split}
            stream.write(json.dumps(line) + "\n")
    words = ["--data", tmp_path / "notes.jsonl", "--split_column", "split", "--models", f"base={tmp_path / 'base'}"]
    words += ["--output_dir", tmp_path / "out", "--shots", 0, "--seeds", 1, "--no_bf16", "--use_cpu", "--quiet"]
    words += ["--epochs", 1, "--head_epochs", 1]
    classify.main([str(RECIPES / "classify_mimic_triage.yaml"), *map(str, words)])
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert sorted(results["labels"]) == sorted(TRIAGE_CODES)
    scores = {cell["method"]: cell["metrics"]["f1_macro"] for cell in results["cells"]}
    assert scores.keys() == {"majority", "tfidf", "logistic_regression", "hybrid", "mlp", "fine_tuned"}
    assert scores["tfidf"] > 0.9 and scores["majority"] == pytest.approx(0.25 / 7)
