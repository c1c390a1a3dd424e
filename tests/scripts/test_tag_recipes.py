"""The recipes of tag.py: every key an option, the paper's settings, and annotated demo notes to try them on."""

from pathlib import Path

import pytest
import yaml

import make_demo_notes
from command_line import RecipeParser
from corpora.brat import read_brat
from corpora.tagging_options import TaggingReadingOptions
from pretrain_options import ModelOptions
from tag_options import AnnotatedFiles, TaggerOptions, TaggerTraining

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
CLASSES = [AnnotatedFiles, TaggerOptions, TaggerTraining, ModelOptions, TaggingReadingOptions]
SYSTEMS = ("bert_crf", "bert_apt", "bert_crf_sambd", "transformer_crf", "transformer_crf_sambd")
SMALL = ("small_crf", "small_apt", "small_crf_sambd", "small_transformer_crf")


def parsed(name):
    encoder = {"small_transformer_crf": "--tokenizer_name"}.get(name, "--model_name_or_path")
    needed = ["--train_file", "train", "--output_dir", "out", *([encoder, "base"] if name in SMALL else [])]
    return RecipeParser(CLASSES).parse([str(RECIPES / f"{name}.yaml"), *needed])


@pytest.mark.parametrize("name", [*SYSTEMS, *SMALL])
def test_every_key_is_an_option(name):
    given = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    found = {key: value for part in parsed(name) for key, value in vars(part).items()}
    assert {key: str(found[key]) for key in given} == {
        key: str(float(value) if isinstance(found[key], float) else value) for key, value in given.items()
    }
    assert found["crf"] == ("apt" not in name)
    assert (found["sambd_share"] == 0.2072) == ("sambd" in name)
    assert found["tagger_dropout"] == 0.2
    assert found["seeds"] >= 3


def test_the_transformer_has_the_size_of_the_paper():
    _, _, _, model, _ = parsed("transformer_crf")
    assert (model.num_hidden_layers, model.hidden_size, model.num_attention_heads) == (6, 768, 12)
    assert (model.intermediate_size, model.config_name, model.model_name_or_path) == (3072, "distilbert", None)


def test_annotated_demo_notes(tmp_path, capsys):
    output = ["--output", str(tmp_path / "annotated"), "--annotated", "brat", "--patients", "5"]
    make_demo_notes.main(output)
    assert "train" in capsys.readouterr().out
    documents, _ = read_brat(tmp_path / "annotated" / "train")
    labels = {entity.label for document in documents for entity in document.entities}
    assert {"Drug", "Dosage", "Frequency"} <= labels
