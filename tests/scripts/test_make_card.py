"""make_card.py as a user runs it."""

import json
import re

import pytest
from huggingface_hub import metadata_load

import make_card
from corpora.errors import InputError


@pytest.fixture
def folder(make_model, tmp_path):
    model, tokenizer = make_model("bert")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_statement_from_a_recipe_and_the_command_line(folder, tmp_path, capsys):
    (tmp_path / "few_shot_curves.png").write_bytes(b"image")
    recipe = tmp_path / "statement.yaml"
    recipe.write_text("license: cc-by-nc-4.0\nlanguage: [en, de]\nsource: one hospital\nperiod: 2010 to 2020\n")
    words = [str(recipe), str(folder), "--period", "2011 to 2020", "--figures", str(tmp_path / "few_shot_curves.png")]
    make_card.main(words)
    assert capsys.readouterr().out.strip() == str(folder / "README.md")
    card = (folder / "README.md").read_text()
    assert "| Source | one hospital |" in card and "| Period | 2011 to 2020 |" in card
    assert re.findall(r"!\[.*\]\((.*)\)", card) == ["figures/few_shot_curves.png"]
    metadata = metadata_load(folder / "README.md")
    assert (metadata["license"], metadata["language"]) == ("cc-by-nc-4.0", ["en", "de"])
    stored = json.loads((folder / "card_facts.json").read_text())
    assert stored["data"] == {"source": "one hospital", "period": "2011 to 2020"}
    make_card.main([str(folder), "--governance", "approved"])
    again = (folder / "README.md").read_text()
    assert again == card.replace("basis | not stated |", "basis | approved |") != card


def test_a_figure_that_lies_in_the_folder_already_is_shown(folder):
    (folder / "figures").mkdir()
    (folder / "figures" / "fig.png").write_bytes(b"image")
    make_card.main([str(folder), "--figures", str(folder / "figures" / "fig.png")])
    assert "(figures/fig.png)" in (folder / "README.md").read_text()
    assert (folder / "figures" / "fig.png").read_bytes() == b"image"


@pytest.mark.parametrize("before", [None, b"earlier"])
def test_a_fault_of_the_results_takes_figures_back(folder, tmp_path, before):
    (tmp_path / "fig.png").write_bytes(b"image")
    if before is not None:
        (folder / "figures").mkdir()
        (folder / "figures" / "fig.png").write_bytes(before)
    there = sorted(folder.rglob("*"))
    with pytest.raises(InputError, match=r"holds no results\.json"):
        make_card.main([str(folder), "--figures", str(tmp_path / "fig.png"), "--results", str(tmp_path / "nothere")])
    assert sorted(folder.rglob("*")) == there
    assert before is None or (folder / "figures" / "fig.png").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["{tmp}/nowhere"], "no such checkpoint folder"),
        (["{tmp}"], "is not a checkpoint folder"),
        (["{model}", "--results", "{tmp}"], r"holds no results\.json"),
        (["{model}", "--figures", "{model}/config.json"], "is no image"),
        (["{model}", "--figures", "{tmp}/fig.png", "{tmp}/more/fig.png"], r"2 figures are called fig\.png"),
        (["{model}", "--license", "My Licence"], "--license is not an identifier"),
        (["{model}", "--governence", "x"], "the nearest is '--governance'"),
    ],
)
def test_faults_are_one_line_and_nothing_is_written(folder, tmp_path, words, problem):
    for place in (tmp_path, tmp_path / "more"):
        place.mkdir(exist_ok=True)
        (place / "fig.png").write_bytes(b"")
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputError, match=problem):
        make_card.main([word.format(tmp=tmp_path, model=folder) for word in words])
    assert sorted(folder.rglob("*")) == before
