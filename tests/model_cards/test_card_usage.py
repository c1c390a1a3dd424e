"""The lines of usage in a card run as they stand, offline, on the folder."""

import json
import re

import numpy as np
import pytest
from huggingface_hub import metadata_load

from model_cards.render import write_card


def blocks(folder):
    return re.findall(r"```python\n(.*?)```", write_card(folder).read_text(), re.DOTALL)


def execute(block, capsys):
    names = {}
    exec(compile(block, "card", "exec"), names)
    assert capsys.readouterr().out.strip()
    return names


@pytest.fixture(autouse=True)
def beside(checkpoint, monkeypatch):
    monkeypatch.chdir(checkpoint.parent)


def test_all_blocks_run_and_agree(checkpoint, capsys):
    sentences, plain, fill = blocks(checkpoint)
    names = execute(sentences, capsys)
    assert names["embeddings"].shape == (3, 16) and names["similarities"].shape == (3, 3)
    found = execute(plain, capsys)
    assert np.allclose(found["embeddings"].numpy(), names["model"].encode(found["notes"]), atol=1e-5)
    assert execute(fill, capsys)["guess"]["token_str"]


@pytest.mark.parametrize("pooling", ["cls", "max"])
def test_other_poolings(checkpoint, capsys, pooling):
    from modeling.sentence_transformers_files import write_sentence_transformers_files

    write_sentence_transformers_files(checkpoint, 16, 64, pooling)
    sentences, plain, _ = blocks(checkpoint)
    model, found = execute(sentences, capsys)["model"], execute(plain, capsys)
    assert np.allclose(found["embeddings"].numpy(), model.encode(found["notes"]), atol=1e-5)


def test_no_missing_words_where_the_head_was_not_trained(checkpoint, training):
    training["settings"]["mlm_weight"] = 0.0
    (checkpoint / "training_summary.json").write_text(json.dumps(training))
    assert len(blocks(checkpoint)) == 2


def test_a_folder_of_transformers_alone(checkpoint):
    (checkpoint / "modules.json").unlink()
    found = blocks(checkpoint)
    assert len(found) == 2 and "sentence_transformers" not in "".join(found)
    card = (checkpoint / "README.md").read_text()
    assert "library_name: transformers" in card and "pipeline_tag: feature-extraction" in card
    assert "reimers2019" not in card


def test_a_note_classifier(checkpoint, tmp_path, capsys):
    from transformers import AutoTokenizer

    from modeling.note_classifier import NoteClassifier

    folder = tmp_path / "classifier"
    NoteClassifier.from_encoder(checkpoint, ["Cardiology", "Neurology", "Renal"]).save_pretrained(folder)
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
    (block,) = blocks(folder)
    found = execute(block, capsys)
    assert found["classifier"].config.id2label[found["best"]] in ("Cardiology", "Neurology", "Renal")
    card = (folder / "README.md").read_text()
    assert "classifier on a roberta encoder" in card and "each of 3 classes" in card
    metadata = metadata_load(folder / "README.md")
    assert metadata["pipeline_tag"] == "text-classification" and metadata["library_name"] == "transformers"


def test_a_folder_name_that_ends_strings_and_blocks(checkpoint, capsys, monkeypatch):
    odd = checkpoint.rename(checkpoint.with_name("a\"b'c ``` d"))
    names = execute(blocks(odd)[1], capsys)
    assert names["embeddings"].shape == (2, 16)
