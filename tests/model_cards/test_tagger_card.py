"""The card of a tagger: what it is, how it is used, and scores that are those of the report."""

import json
import re

import numpy as np
import pytest
from huggingface_hub import ModelCard, metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results

from corpora.errors import InputError
from metrics.tagging_scores import score_documents, tagging_counts
from model_cards.card_facts import CardFacts
from model_cards.leak_check import check_folder
from model_cards.render import write_card
from model_cards.result_facts import read_results
from reporting.tagging_report import make_tagging_report, tagging_markdown
from reporting.tagging_results import load_tagging_results, write_cell_counts

LABELS = ("Drug", "Sign")


def predictions(gold, quality, random):
    """Each entity is found, has a wrong type, or is missed."""
    other = {"Drug": "Sign", "Sign": "Drug"}
    found = []
    for spans in gold:
        draws = [(span, random.random()) for span in spans]
        found.append(
            [
                span if draw < quality else (other[span[0]], *span[1:])
                for span, draw in draws
                if draw < (1 + quality) / 2
            ]
        )
    return found


@pytest.fixture
def write_tagging(tmp_path):
    """Return a function that writes results as tag.py train does; `collapsed` holds (share, seed)."""

    def write(name="study", systems=("crf",), shares=(50, 100), collapsed=(), split="test"):
        folder, random = tmp_path / name, np.random.default_rng(3)
        (folder / "cells").mkdir(parents=True)
        gold = [[(str(random.choice(LABELS)), 4 * place, 4 * place + 2) for place in range(7)] for _ in range(30)]
        ids, cells = [f"note-{number}" for number in range(30)], []
        for system in systems:
            for share in shares:
                for seed in range(3):
                    fallen = (share, seed) in collapsed
                    predicted = [[]] * 30 if fallen else predictions(gold, 0.5 + share / 300, random)
                    path = f"cells/{system}-{share}-{seed}.npz"
                    write_cell_counts(folder / path, tagging_counts(gold, predicted, ids, LABELS))
                    tokens = {"token_level_f1_macro": 0.9 + 0.01 * seed, "token_level_f1_weighted": 0.96}
                    cells.append(
                        {
                            "id": path,
                            "system": system,
                            "share": share,
                            "seed": seed,
                            "collapse": "all O" if fallen else None,
                            "training_sentences": 4 * share,
                            "trained_parameters": 1_234,
                            "seconds": 1.5,
                            "metrics": score_documents(gold, predicted) | tokens,
                            "counts": path,
                        }
                    )
        head = {"schema_version": 1, "kind": "tagging", "corpus": "made-up notes", "corpus_digest": "d"}
        (folder / "results.json").write_text(json.dumps({**head, "split": split, "labels": LABELS, "cells": cells}))
        return folder

    return write


@pytest.fixture
def tagger(make_tagger, tmp_path):
    return make_tagger(tmp_path / "tagger")


def rows(card):
    """The cells of all rows of tables by their first one, of the first row of that name."""
    found = {}
    for line in card.replace("\N{NO-BREAK SPACE}", " ").replace("**", "").splitlines():
        if line.startswith("| "):
            first, *others = line.removeprefix("| ").removesuffix(" |").split(" | ")
            found.setdefault(first, []).append(others)
    return found


def test_the_numbers_are_those_of_the_report(tagger, write_tagging):
    folder = write_tagging(collapsed={(100, 1)})
    card = write_card(tagger, results=[folder]).read_text()
    results = load_tagging_results(folder)
    report = rows(tagging_markdown(make_tagging_report(results)))
    row = next(row for row in make_tagging_report(results).rows if row.share == 100)
    strict, relaxed, shares = rows(card)["crf"]
    names = ("f1_micro", "f1_macro", "precision_micro", "recall_micro")
    expected = ["{:.3f} [{:.3f}, {:.3f}]".format(row.mean(name), *row.interval(name)) for name in names]
    assert strict == ["2 of 3", *expected]
    assert report["crf"][0][:3] == strict[:3] and report["crf"][0][4:] == [cell.split()[0] for cell in strict[3:]]
    assert relaxed == report["crf"][1][1:]
    # Between them the report lists the run that collapsed.
    assert shares == [cell.replace(" (2 of 3)", "") for cell in report["crf"][3]]
    types = rows(card.split("| Type |")[1])
    assert {label: (cells[0][0], cells[0][1]) for label, cells in types.items() if label in LABELS} == {
        label: (report[label][0][0], report[label][0][-1]) for label in LABELS
    }
    assert "it is no score of entities" in card and "trained on 100 % of the training sentences" in card
    assert "Runs that collapsed, which are in no score (**crf**, 100 %, seed 1: all O)." in card


def test_the_metadata_is_what_the_hub_reads(tagger, write_tagging):
    folder = write_tagging()
    file = write_card(tagger, results=[folder])
    metadata = metadata_load(file)
    assert (metadata["library_name"], metadata["pipeline_tag"]) == ("transformers", "token-classification")
    assert {"token-classification", "named-entity-recognition", "bert"} <= set(metadata["tags"])
    assert metadata["metrics"] == ["f1", "precision", "recall"]
    _, found = model_index_to_eval_results(metadata["model-index"])
    assert {(one.task_type, one.dataset_split, one.dataset_config) for one in found} == {
        ("token-classification", "test", "made-up notes")
    }
    cells = [cell for cell in json.loads((folder / "results.json").read_text())["cells"] if cell["share"] == 100]
    for kind, score, metric in (
        ("f1", "F1 (strict, micro", "f1_micro"),
        ("precision", "Precision (strict, micro", "precision_micro"),
        ("recall", "Recall (strict, micro", "recall_micro"),
        ("f1", "F1 (strict, macro", "f1_macro"),
    ):
        (value,) = [one for one in found if one.metric_name == f"{score}, mean of 3 runs)"]
        mean = np.mean([cell["metrics"][metric] for cell in cells])
        assert value.metric_type == kind and value.metric_value == pytest.approx(mean, abs=5e-5)
    loaded = ModelCard.load(file)
    assert loaded.data.to_dict() == metadata and ModelCard(str(loaded)).content == loaded.content


def test_the_card_tells_what_the_tagger_is_and_its_lines_of_usage_run(tagger, monkeypatch, capsys):
    card = write_card(tagger).read_text()
    made = rows(card)
    assert made["Entity types"] == [["`Drug`, `Sign`"]] and made["Tags"] == [["`BIOES`, one for each word"]]
    assert made["On the encoder"] == [["a linear layer and a CRF"]]
    assert "This tagger on a bert encoder marks entities of 2 types in clinical text, with a CRF." in card
    assert "AutoModel.from_pretrained" not in card and "No custom code" not in card and "embeddings" not in card
    assert "2210.12770" in card and "2403.19802" not in card
    (block,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    monkeypatch.chdir(tagger.parent)
    names = {}
    exec(compile(block, "card", "exec"), names)
    shown = capsys.readouterr().out.splitlines()
    found = [names["tagger"].predict([note])[0] for note in names["notes"]]
    assert len(shown) == 2 + sum(map(len, found)) > 2
    first = found[0][0]
    assert f"{first.label} {names['notes'][0][first.start : first.end]!r}" in "\n".join(shown)


def test_runs_that_all_collapsed_have_no_scores(tagger, write_tagging):
    collapsed = {(100, seed) for seed in range(3)}
    file = write_card(tagger, results=[write_tagging(collapsed=collapsed, split="validation")])
    strict, relaxed, shares = rows(file.read_text())["crf"]
    assert strict == ["0 of 3", *["collapsed"] * 4] and relaxed[:3] == ["collapsed"] * 3
    assert re.match(r"0\.\d{3} \[", shares[0]) and shares[1] == "collapsed"
    assert "so that the scores are too high" in file.read_text()
    assert "model-index" not in metadata_load(file)


def test_one_of_several_systems_has_to_be_named(tagger, write_tagging):
    folders = [write_tagging("a", ("crf",)), write_tagging("b", ("words",))]
    with pytest.raises(InputError, match="say with --result_name"):
        write_card(tagger, results=folders)
    card = write_card(tagger, CardFacts(result_name="words"), folders).read_text()
    assert card.count("### Entities: made-up notes") == 2 and "This model is **words**." in card
    assert "| **words** | 3 |" in card and "| crf | 3 |" in card


def test_damaged_results_are_named(write_tagging):
    folder = write_tagging(shares=(100,))
    content = json.loads((folder / "results.json").read_text())

    def fault(**changes):
        first, *others = content["cells"]
        (folder / "results.json").write_text(json.dumps({**content, "cells": [{**first, **changes}, *others]}))
        with pytest.raises(InputError) as caught:
            read_results(folder)
        return str(caught.value)

    assert "outside the folder" in fault(counts="../cells.npz")
    assert "no such file" in fault(counts="cells/none.npz")
    assert "cannot be used (ValueError)" in fault(share="all")
    with np.load(folder / "cells" / "crf-100-0.npz") as arrays:
        np.savez(folder / "cells" / "other.npz", **{**arrays, "document_ids": arrays["document_ids"][::-1]})
    assert "scored on different documents" in fault(counts="cells/other.npz")
    (folder / "cells" / "other.npz").write_bytes((folder / "cells" / "other.npz").read_bytes()[:400])
    assert "cannot be used" in fault(counts="cells/other.npz")


SENTENCE = "aspirin was given for crushing chest pain after the walk"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("brat/a.txt", f"Notes.\n{SENTENCE}.\n"),
        ("brat/a.ann", f"#1\tAnnotatorNotes T1\t{SENTENCE}\n"),
        ("train.conll", "\n".join(f"{word}\tX\tO" for word in SENTENCE.split())),
        ("train.conll", "\n".join(f"{number} {word} O" for number, word in enumerate(SENTENCE.split()))),
        ("train.tsv", "\n".join(f"{word}\tO" for word in SENTENCE.split())),
        ("train.conll", f"# text = {SENTENCE}\naspirin\tO\n"),
        ("train.jsonl", json.dumps({"text": SENTENCE, "entities": [{"label": "Drug", "start": 0, "end": 7}]}) + "\n"),
    ],
)
def test_a_planted_training_sentence_is_stopped(tagger, tmp_path, name, content):
    file = tmp_path / "corpus" / name
    file.parent.mkdir(parents=True)
    file.write_text(content)
    corpus = [file.parent if file.parent.name == "brat" else file]
    write_card(tagger)
    assert check_folder(tagger, corpus, rare_below=1) == []
    with (tagger / "README.md").open("a") as card:
        card.write(f"\nFor example: {SENTENCE.upper()}.\n")
    (finding,) = check_folder(tagger, corpus, rare_below=1)
    assert (finding.file, finding.count, finding.stops) == ("README.md", 3, True)
    assert "crushing" not in str(finding).lower()
