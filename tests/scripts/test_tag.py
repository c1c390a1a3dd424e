"""tag.py as a user runs it: train, evaluate, predict, compare; resumption; one clear line for each fault."""

import json
import re
import shutil

import numpy as np
import pytest
from huggingface_hub import metadata_load

import make_card
import tag
import tag_cells
import tag_study
from corpora.brat import read_brat, write_brat
from corpora.conll import read_conll
from corpora.entities import AnnotatedDocument, Entity
from corpora.errors import InputError
from modeling.tagger import TokenTagger

SMALL = ["--epochs", "1", "--min_steps", "40", "--evaluations", "2", "--learning_rate", "1e-2", "--use_cpu"]


KNOWN = {"aspirin": "Drug", "metoprolol": "Drug", "chest pain": "Sign", "fever": "Sign"}


def made_up_documents(name, count, random):
    """Documents of a few sentences of plain words, some of which are always drugs or signs."""
    plain = "the patient was admitted with no plan continue review in clinic".split()
    for number in range(count):
        text, entities = "", []
        for sentence in range(6):
            for place in range(8):
                known = sentence > 1 and random.random() < 0.4
                word = str(random.choice(list(KNOWN) if known else plain))
                start = len(text) + (place > 0)
                text += (" " if place else "") + (word.capitalize() if place == 0 else word)
                if word in KNOWN:
                    entities.append(Entity(KNOWN[word], ((start, start + len(word)),)))
            text += ".\n"
        yield AnnotatedDocument(f"{name}-{number}", text, tuple(entities))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("annotated"), np.random.default_rng(0)
    for name, count in (("train", 24), ("validation", 6), ("test", 6)):
        write_brat(folder / name, made_up_documents(name, count, random))
    return folder


@pytest.fixture(scope="module")
def encoder(make_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    model, tokenizer = make_model("bert")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def words(*arguments):
    return [str(argument) for argument in arguments]


def train(data, encoder, output, *options):
    files = ("--train_file", data / "train", "--validation_file", data / "validation", "--test_file", data / "test")
    tag.main(words("train", *files, "--model_name_or_path", encoder, "--output_dir", output, *SMALL, *options))


@pytest.fixture(scope="module")
def studied(data, encoder, tmp_path_factory):
    output = tmp_path_factory.mktemp("study") / "crf"
    train(data, encoder, output, "--seeds", 2, "--train_shares", 50, 100, "--quiet")
    return output


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


def test_every_seed_and_share_is_scored(studied):
    results = results_of(studied)
    assert results["split"] == "test"
    assert results["labels"] == sorted(results["labels"])
    cells = {(cell["share"], cell["seed"]): cell for cell in results["cells"]}
    assert set(cells) == {(50, 0), (50, 1), (100, 0), (100, 1)}
    sizes = [cells[share, 0]["training_sentences"] for share in (50, 100)]
    assert sizes[0] == pytest.approx(sizes[1] / 2, abs=1)
    assert all(cell["system"] == "crf" and cell["trained_parameters"] > 1000 for cell in cells.values())
    table = (studied / "table.md").read_text()
    assert "crf" in table and "token_level" in table
    assert (studied / "learning_curve.png").stat().st_size > 1000
    assert not (studied / "models").exists()
    assert not (studied / "trainer").exists()


def test_the_best_model_is_kept_and_scores_as_in_the_table(studied, data, tmp_path, capsys):
    chosen = json.loads((studied / "model_cell.json").read_text())
    cells = {cell["id"]: cell for cell in results_of(studied)["cells"]}
    assert cells[chosen]["validation_f1_micro"] == max(
        cell["validation_f1_micro"] for cell in cells.values() if cell["share"] == 100
    )
    tag.main(words("evaluate", studied / "model", "--test_file", data / "test", "--output", tmp_path / "scores.json"))
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert scores == pytest.approx(cells[chosen]["metrics"])
    assert f"{scores['f1_micro']:.3f}" in capsys.readouterr().out


def test_the_kept_model_has_a_card_with_the_numbers_of_the_table(studied, encoder):
    card = (studied / "model" / "README.md").read_text().replace("\N{NO-BREAK SPACE}", " ")
    row = next(line for line in (studied / "table.md").read_text().splitlines() if line.startswith("| crf |"))
    scores = re.findall(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", row.replace("*", ""))
    assert len(scores) == 3 and f"| **crf** | 2 | {scores[0]} | {scores[1]} |" in card
    chosen = json.loads((studied / "model_cell.json").read_text())
    cell = next(cell for cell in results_of(studied)["cells"] if cell["id"] == chosen)
    made = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", card, re.MULTILINE))
    assert made["Strict micro-F1 of these weights, test"] == f"{cell['metrics']['f1_micro']:.3f}"
    assert made["Strict micro-F1, validation"].startswith(f"{cell['validation_f1_micro']:.3f} after ")
    assert made["Seed"] == str(cell["seed"]) and made["Started from"] == encoder.name
    assert made["Optimizer steps"] == "40" and made["Trained parameters"] == f"{cell['trained_parameters']:,}"
    assert made["Trained on"] == f"100 % of the sentences: {cell['training_sentences']}"
    assert re.fullmatch(r"24, \d+ sentences, [\d,]+ words, \d+ entities", made["Training documents"])
    assert "\n# crf\n" in card and "audit the encoder" in card and "SamBD" not in card
    assert str(studied.parent) not in card and str(encoder.parent) not in card
    metadata = metadata_load(studied / "model" / "README.md")
    assert metadata["pipeline_tag"] == "token-classification"
    value = metadata["model-index"][0]["results"][0]["metrics"][0]
    assert value["name"] == "F1 (strict, micro, mean of 2 runs)" and f"{value['value']:.3f}" == scores[0].split()[0]
    # What is not of the card alone is written anew by make_card.py.
    make_card.main(words(studied / "model", "--results", studied, "--license", "other"))
    again = (studied / "model" / "README.md").read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert again.replace("license: other\n", "", 1) == card


def test_a_second_run_computes_nothing_anew(studied, data, encoder, monkeypatch):
    before = {file: file.read_bytes() for file in sorted(studied.rglob("*")) if file.is_file()}
    monkeypatch.setattr("tag_training.TaggingSystem.train", lambda *given: pytest.fail("a cell was trained again"))
    train(data, encoder, studied, "--seeds", 2, "--train_shares", 50, 100, "--quiet")
    changed = [file.name for file, content in before.items() if file.suffix != ".svg" and file.read_bytes() != content]
    assert [name for name in changed if not name.endswith(".png")] == []


def test_an_interrupted_study_goes_on_with_what_is_missing(studied, data, encoder, tmp_path, monkeypatch):
    folder = tmp_path / "crf"
    shutil.copytree(studied, folder)
    (folder / "results.json").unlink()
    (folder / "cells" / "50-1.json").unlink()
    train(data, encoder, folder, "--seeds", 2, "--train_shares", 50, 100, "--quiet")
    again, first = ({cell["id"]: cell for cell in results_of(each)["cells"]} for each in (folder, studied))
    for cell in (*again.values(), *first.values()):
        cell.pop("seconds")
    assert again == first
    assert (folder / "model_cell.json").read_bytes() == (studied / "model_cell.json").read_bytes()


def test_more_seeds_keep_the_better_model(studied, data, encoder, tmp_path):
    folder = tmp_path / "crf"
    shutil.copytree(studied, folder)
    train(data, encoder, folder, "--seeds", 3, "--train_shares", 50, 100, "--quiet")
    cells = [cell for cell in results_of(folder)["cells"] if cell["share"] == 100]
    best = max(cells, key=lambda cell: cell["validation_f1_micro"])
    chosen = json.loads((folder / "model_cell.json").read_text())
    kept = next(cell for cell in cells if cell["id"] == chosen)
    assert kept["validation_f1_micro"] == best["validation_f1_micro"]
    assert TokenTagger.from_pretrained(folder / "model").config.use_crf


def test_what_people_wrote_into_the_card_stays_with_a_better_model(studied, tmp_path):
    folder, facts = tmp_path / "crf", results_of(studied)["cells"]
    shutil.copytree(studied, folder)
    card, marker = folder / "model" / "README.md", "<!-- notespace:keep summary -->\n"
    card.write_text(card.read_text().replace(marker, f"{marker}Our words.\n"))
    better = folder / "models" / "seed-7"
    shutil.copytree(studied / "model", better)
    (better / "README.md").unlink()
    (better / "config.json").write_text((better / "config.json").read_text() + "\n")
    tag_study._keep_best(folder, [*facts, {**facts[-1], "id": "100-7", "seed": 7, "validation_f1_micro": 2.0}], "best")
    assert (folder / "model" / "config.json").read_bytes() != (studied / "model" / "config.json").read_bytes()
    assert "Our words." in card.read_text() and not (folder / "models").exists()


def test_predictions_in_three_formats_say_the_same(studied, data, tmp_path):
    texts = tmp_path / "texts"
    write_brat(texts, [AnnotatedDocument(one.document_id, one.text) for one in read_brat(data / "test")[0]])
    for file in texts.glob("*.ann"):
        file.unlink()
    outputs = [tmp_path / name for name in ("brat", "found.jsonl", "found.conll")]
    for output in outputs:
        tag.main(words("predict", studied / "model", "--data", texts, "--output", output))
    documents = {one.document_id: one for one in read_brat(outputs[0])[0]}
    lines = [json.loads(line) for line in outputs[1].read_text().splitlines()]
    assert {line["document_id"] for line in lines} == set(documents)
    total = 0
    for line in lines:
        document = documents[line["document_id"]]
        assert line["text"] == document.text == (texts / f"{document.document_id}.txt").read_bytes().decode()
        spans = [(entity.label, entity.start, entity.end) for entity in document.entities]
        assert sorted(spans) == sorted((one["label"], one["start"], one["end"]) for one in line["entities"])
        assert all(0 < one["probability"] <= 1 for one in line["entities"])
        total += len(spans)
    assert total > 0
    tagged = read_conll(outputs[2], stem="x").documents
    assert sum(tag.startswith("B-") for one in tagged for each in one.sentences for tag in each.tags) == total
    model = TokenTagger.from_pretrained(studied / "model")
    first = lines[0]
    assert [(one.label, one.start, one.end) for one in model.predict([first["text"]])[0]] == [
        (one["label"], one["start"], one["end"]) for one in first["entities"]
    ]


def test_systems_side_by_side(studied, data, encoder, tmp_path, capsys):
    other = tmp_path / "words_alone"
    train(data, encoder, other, "--no_crf", "--seeds", 2, "--sambd_share", 0.1, "--sambd_draw", "fresh", "--quiet")
    capsys.readouterr()
    tag.main(words("compare", studied, other, "--output_dir", tmp_path / "both"))
    table = (tmp_path / "both" / "table.md").read_text()
    assert "crf" in table and "words_alone" in table
    assert "Holm" in table
    sampling = results_of(other)["cells"][0]["down_sampling"]
    assert sampling["sentences_without_entity_after"] < sampling["sentences_without_entity_before"]


@pytest.mark.parametrize("extra", [("--lora_rank", 4), ("--freeze", "all", "--scheme", "BIOES")])
def test_ways_to_train_fewer_weights(data, encoder, tmp_path, extra):
    train(data, encoder, tmp_path / "few", "--seeds", 1, "--quiet", "--no_model_card", *extra)
    assert not (tmp_path / "few" / "model" / "README.md").exists()
    (cell,) = results_of(tmp_path / "few")["cells"]
    model = TokenTagger.from_pretrained(tmp_path / "few" / "model")
    assert cell["trained_parameters"] < sum(parameter.numel() for parameter in model.parameters())
    tag.main(words("evaluate", tmp_path / "few" / "model", "--test_file", data / "test"))


def test_from_scratch_with_an_own_tokenizer(data, tmp_path):
    files = ("--train_file", data / "train", "--test_file", data / "test", "--output_dir", tmp_path / "scratch")
    sizes = ("--hidden_size", 16, "--num_hidden_layers", 1, "--num_attention_heads", 2, "--window", 64)
    new = ("--config_name", "distilbert", "--train_tokenizer", "--vocab_size", 400, *sizes)
    tag.main(words("train", *files, *new, *SMALL, "--seeds", 1, "--quiet"))
    report = json.loads((tmp_path / "scratch" / "corpus.json").read_text())
    assert report["held_out_documents"] > 0
    assert TokenTagger.from_pretrained(tmp_path / "scratch" / "model").config.encoder["model_type"] == "distilbert"


def fault(*arguments):
    with pytest.raises(InputError) as caught:
        tag.main(words(*arguments))
    return str(caught.value)


def test_faults_are_named(studied, data, encoder, tmp_path):
    assert "no command" in fault()
    assert "'trian' is no command" in fault("trian")
    files = ("--train_file", data / "train", "--output_dir")
    given = ("--validation_file", data / "validation", "--test_file", data / "test")
    assert "other settings (crf)" in fault(
        "train", *given, *files, studied, "--model_name_or_path", encoder, *SMALL, "--no_crf"
    )
    assert "no such checkpoint" in fault("train", *files, tmp_path / "a", "--model_name_or_path", tmp_path / "none")
    assert not (tmp_path / "a").exists()
    assert "--validation_share" in fault(
        "train", *files, tmp_path / "a", "--model_name_or_path", encoder, "--validation_share", 0
    )
    assert "is no tagger" in fault("predict", encoder, "--data", data / "test", "--output", tmp_path / "b")
    model = studied / "model"
    assert "stands for no format" in fault("predict", model, "--data", data / "test", "--output", tmp_path / "b.xml")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes.csv").write_text("x")
    assert "there already" in fault("predict", model, "--data", data / "test", "--output", tmp_path / "there")
    assert "1 files there are of no prediction" in fault(
        "predict", model, "--data", data / "test", "--output", tmp_path / "there", "--overwrite"
    )
    broken = tmp_path / "broken.conll"
    broken.write_text("aspirin\tB-Drug\nno\tI-Drug\nfever\tI-Sign\n")
    message = fault("evaluate", model, "--test_file", broken)
    assert "broken.conll" in message and "row 3" in message and "fever" not in message


def test_types_that_training_lacks_count_as_missed(studied, tmp_path, capsys):
    new = tmp_path / "new.conll"
    new.write_text("aspirin\tB-Chemical\n\nfever\tO\n")
    tag.main(words("evaluate", studied / "model", "--test_file", new, "--output", tmp_path / "scores.json"))
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert scores["gold_entities"] == 1
    assert scores["true_positives"] == 0
    assert "Chemical" in capsys.readouterr().out


def test_a_collapsed_run_is_named(data, encoder, tmp_path, monkeypatch, capsys):
    from modeling.tagger_prediction import TaggedWords, tag_sentences

    def all_outside(*arguments, **options):
        return [TaggedWords(["O"] * len(one.tags), one.probabilities) for one in tag_sentences(*arguments, **options)]

    monkeypatch.setattr("modeling.tagger_prediction.tag_sentences", all_outside)
    train(data, encoder, tmp_path / "dead", "--seeds", 1, "--keep_models", "none")
    shown = capsys.readouterr().out
    assert "collapsed (all O)" in shown
    assert results_of(tmp_path / "dead")["cells"][0]["collapse"] == "all O"
    assert not (tmp_path / "dead" / "model").exists()
    assert tag_cells.SCHEMA_VERSION == 1


def test_the_help_of_every_command(run_script):
    found = run_script("tag", "--help")
    assert found.returncode == 0
    assert "predict" in found.stdout
    found = run_script("tag", "train", "--help")
    assert "--sambd_share" in found.stdout
    found = run_script("tag", "predict")
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
