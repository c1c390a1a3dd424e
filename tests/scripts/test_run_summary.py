"""What training_summary.json tells of a run."""

import json

from datasets import Dataset, DatasetDict

from run_summary import corpus_facts, earlier_trainings, losses, seconds_before, with_tokens


def test_losses_at_evaluations_with_the_training_loss_before():
    history = [
        {"step": 5, "loss": 3.0, "contrastive_loss": 2.0, "learning_rate": 0.1, "tokens_per_second": 7.0},
        {"step": 8, "eval_loss": 2.5, "eval_contrastive_accuracy": 0.25, "eval_runtime": 1.0},
        {"step": 10, "loss": 2.0, "grad_norm": 1.0},
        {"step": 16, "eval_loss": float("nan"), "eval_mlm_loss": 1.5},
        {"step": 16, "train_runtime": 9.0, "train_loss": 2.2},
        {"step": 16, "eval_loss": 1.0, "eval_mlm_loss": 9.0},  # of the best model, after the run
    ]
    assert losses(history) == [
        {"step": 8, "loss": 3.0, "contrastive_loss": 2.0, "eval_loss": 2.5, "eval_contrastive_accuracy": 0.25},
        {"step": 16, "loss": 2.0, "eval_loss": 1.0, "eval_mlm_loss": 1.5},
    ]
    assert losses(history[:1]) == [{"step": 5, "loss": 3.0, "contrastive_loss": 2.0}]
    assert losses([]) == []


def test_facts_of_a_corpus_hold_counts(notes, tmp_path):
    corpus = DatasetDict(train=notes, validation=notes.select(range(3)).remove_columns(["patient_id", "note_category"]))
    facts = corpus_facts(corpus, [str(tmp_path)])
    assert facts["splits"]["train"] == {
        "documents": 40,
        "patients": 20,
        "categories": {"Radiology": 14, "Nursing": 26},
    }
    assert facts["splits"]["validation"] == {"documents": 3, "patients": None, "categories": {}}
    assert facts["preparation"] is None
    report = {"documents_read": 9, "documents_kept": 8, "dropped": {"too short": 1}, "sources": ["secret.csv"]}
    report |= {"cleaned": {"deid_placeholders": 4}, "near_duplicates": {"documents": 2}, "splits": {}}
    (tmp_path / "preparation.json").write_text(json.dumps(report))
    assert corpus_facts(corpus, [str(tmp_path)])["preparation"] == {
        "documents_read": 9,
        "documents_kept": 8,
        "dropped": {"too short": 1},
        "deid_placeholders": 4,
        "near_duplicates": 2,
    }
    assert corpus_facts(corpus, [str(tmp_path), "more.csv"])["preparation"] is None


def test_tokens_are_those_of_what_is_read():
    tokenized = {"train": Dataset.from_dict({"length": [3, 4]}), "validation": Dataset.from_dict({"length": [5]})}
    counts = {"train": {"documents": 9}, "validation": {"rows": 1}}
    assert with_tokens(counts, tokenized) == {
        "train": {"documents": 9, "tokens": 7},
        "validation": {"rows": 1, "tokens": 5},
    }


def test_trainings_before_and_their_time(tmp_path):
    assert earlier_trainings(None) == earlier_trainings(str(tmp_path)) == [] and seconds_before(None) == 0
    first = {"objective": "mlm", "base_model": None, "steps": 7}
    summary = {"objective": "declutr", "base_model": "mlm", "steps": 9, "seconds": 2.5, "earlier_trainings": [first]}
    (tmp_path / "training_summary.json").write_text(json.dumps(summary))
    assert earlier_trainings(str(tmp_path)) == [{"objective": "declutr", "base_model": "mlm", "steps": 9}, first]
    assert seconds_before(tmp_path) == 2.5
    (tmp_path / "training_summary.json").write_text(json.dumps({**summary, "settings": {"train_tokenizer": True}}))
    assert [one.get("train_tokenizer", False) for one in earlier_trainings(str(tmp_path))] == [True, False]
    (tmp_path / "training_summary.json").write_text("{")
    assert earlier_trainings(str(tmp_path)) == [] and seconds_before(tmp_path) == 0
