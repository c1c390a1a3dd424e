"""The README's Python code runs; what else it names is checked in test_docs.py."""

from pathlib import Path

import pytest
from datasets import DatasetDict

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def examples(code_blocks):
    return dict(zip(("use", "categories", "tagger", "train"), code_blocks(ROOT / "README.md", "python"), strict=True))


def test_the_python_examples_run(examples, make_model, notes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    model, tokenizer = make_model("roberta", window=140)
    model.save_pretrained("base")
    tokenizer.save_pretrained("base")
    DatasetDict({"train": notes}).save_to_disk("corpus")
    # Four steps on the CPU in place of an epoch wherever the reader's machine runs it.
    assert "num_train_epochs=1" in examples["train"]
    exec(examples["train"].replace("num_train_epochs=1", "max_steps=4, use_cpu=True, disable_tqdm=True"), {})
    assert (tmp_path / "model" / "modules.json").is_file()
    metadata = 'DeclutrArguments(category_columns=["note_category"], output_dir='
    metadata = examples["train"].replace("DeclutrArguments(", metadata)
    exec(metadata.replace("num_train_epochs=1", "max_steps=2, use_cpu=True, disable_tqdm=True"), {})
    capsys.readouterr()
    exec(examples["categories"], {})
    printed = capsys.readouterr().out
    assert "'Nursing': " in printed and "'Radiology': " in printed
    exec(examples["use"].replace("runs/demo/declutr", "model"), {})
    assert capsys.readouterr().out.count("1.0000") == 3  # the diagonal of a 3 x 3 similarity matrix


def test_the_tagger_example_runs(examples, make_model, tmp_path, monkeypatch, capsys):
    from modeling.tagger import TokenTagger

    monkeypatch.chdir(tmp_path)
    model, tokenizer = make_model("bert")
    model.save_pretrained("base")
    tokenizer.save_pretrained("base")
    tagger = TokenTagger.from_encoder("base", ["Drug"])
    # Every word is a drug of its own, so that there is something to print.
    tagger.classifier.bias.data[tagger.config.tags.index("B-Drug")] = 50.0
    tagger.save_pretrained("tagger/model")
    tokenizer.save_pretrained("tagger/model")
    exec(examples["tagger"], {})
    assert capsys.readouterr().out.splitlines()[1] == "Drug 8 15 1.0"
