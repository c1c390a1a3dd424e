"""The whole card: its sections, its metadata as the Hub reads it, and what it says where facts are missing."""

import getpass
import hashlib
import json
import re
import socket
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard, metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results

from corpora.errors import InputError
from model_cards.card_facts import CardFacts
from model_cards.card_tables import space_table
from model_cards.render import render_card, write_card
from model_cards.statements import DataStatement, ModelStatement

SECTIONS = ["Use", "Intended use", "Limits", "Data", "How it was made", "Results", "Privacy", "Citation", "Contact"]
FACTS = CardFacts(
    model=ModelStatement(title="Notes of a ward", license="apache-2.0", language=["en"], contact="the data team"),
    data=DataStatement(dataset_name="Ward notes", source="one hospital", deidentification="by a tool, checked"),
    result_name="adapted",
)


def section(card, title):
    return card.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(card):
    """The rows of all tables with two columns, as a dictionary."""
    found = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", card, re.MULTILINE)
    return dict(found)


@pytest.fixture
def audit(checkpoint):
    content = {
        "schema_version": 1,
        "kind": "privacy_audit",
        "verdict": "risk",
        "sentences": ["Risk: an attack works.", "Members are told apart, AUC 0.91.", "A <b>third</b> sentence."],
        "thresholds": {"auc": {"chance": 0.5, "risk": 0.65}, "exposure_bits": 10, "rule": "above | chance"},
        "settings": {"weights_sha256": hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()},
    }
    (checkpoint / "privacy_audit.json").write_text(json.dumps(content))
    return content


def test_the_card_is_complete(checkpoint, write_classification, write_space):
    file = write_card(checkpoint, FACTS, [write_classification(), write_space()])
    assert file == checkpoint / "README.md" and not list(checkpoint.glob("*.partial"))
    card = file.read_text()
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == SECTIONS
    assert card.count("\n# Notes of a ward\n") == 1
    assert "12,345 parameters turns a clinical note into an embedding of 16 numbers" in card
    made = rows(section(card, "How it was made"))
    assert made["Optimizer steps"] == "1,200" and made["Duration"] == "2.0 hours" and made["Energy"] == "not measured"
    assert made["Started from"] == "clinical-base" and made["Hardware"] == "2 x NVIDIA H100 80GB HBM3"
    assert made["Training documents"] == "40, 38 of them long enough to be read, 4,321 tokens, 20 patients"
    assert made["Batch"] == "16 a step (4 a device, 2 accumulated, 2 processes)" and made["Precision"] == "bf16"
    assert made["Learning rate"] == "5e-05, linear schedule" and made["Software"] == "python 3.11.7, notespace 0.1.0"
    assert made["Longest span, tokens"] == "256" and made["Where positives lie"] == "`overlapping`"
    assert made["Share of tokens predicted"] == "0.15" and made["Whole words"] == "no"
    assert "| 1,200 | 2.0000 | 1.2500 |" in section(card, "How it was made")
    data = section(card, "Data")
    assert rows(data)["Source"] == "one hospital" and rows(data)["Governance and legal basis"] == "not stated"
    assert "kept 40 in all splits (left out: exact duplicate: 10)" in data and "| Nursing | 26 | 65.0% |" in data
    assert "No privacy audit was made" in section(card, "Privacy")
    cited = re.findall(r"@\w+\{(\w+),", section(card, "Citation"))
    assert cited == ["taylor2024developing", "giorgi2021declutr", "reimers2019sentencebert"]
    assert "2403.19802" in section(card, "Citation") and "2006.03659" in section(card, "Citation")
    assert "the data team" in section(card, "Contact")


def test_the_metadata_is_what_the_hub_reads(checkpoint, write_classification, write_space):
    results = [write_classification(), write_space()]
    file = write_card(checkpoint, FACTS, results)
    metadata = metadata_load(file)
    assert metadata["license"] == "apache-2.0" and metadata["language"] == "en"
    assert metadata["base_model"] == "example/clinical-base" and metadata["base_model_relation"] == "finetune"
    assert metadata["library_name"] == "sentence-transformers" and metadata["pipeline_tag"] == "sentence-similarity"
    assert {"notespace", "declutr", "roberta", "clinical", "feature-extraction"} <= set(metadata["tags"])
    assert "co2_eq_emissions" not in metadata and "datasets" not in metadata
    name, found = model_index_to_eval_results(metadata["model-index"])
    assert name == "Notes of a ward"
    values = {result.metric_name: result.metric_value for result in found}
    cells = json.loads((results[0] / "results.json").read_text())["cells"]
    own = [cell["metrics"]["accuracy"] for cell in cells if cell["model"] == "adapted" and cell["shots"] is None]
    assert values["Accuracy (adapted, logistic regression, all labels)"] == pytest.approx(sum(own) / 2, abs=1e-4)
    assert values["Uniformity"] == -2.0 and values["Retrieval MAP"] == 0.375
    assert "Silhouette" not in values and not [title for title in values if "base" in title or "TF-IDF" in title]
    classes = [result for result in found if result.task_type == "text-classification"]
    assert {(one.dataset_config, one.dataset_split, one.dataset_name) for one in classes} == {
        ("specialty", "test", "Ward notes")
    }
    # Read and written again by the Hub's own class, nothing changes.
    loaded = ModelCard.load(file)
    assert loaded.data.to_dict() == metadata and loaded.data.eval_results == found
    assert ModelCard(str(loaded)).content == loaded.content


def test_scores_and_intervals_are_those_of_the_report(checkpoint, write_classification):
    from reporting.classification_results import load_results
    from reporting.result_rows import aggregate_rows

    folder = write_classification()
    card = write_card(checkpoint, FACTS, [folder]).read_text().replace("\N{NO-BREAK SPACE}", " ")
    reported = aggregate_rows(load_results(folder))
    assert len(reported) == 8
    for row in reported:
        low, high = row.interval
        assert f"{row.mean:.3f} [{low:.3f}, {high:.3f}]" in card
    assert "| **adapted, logistic regression** |" in card and "| base, logistic regression |" in card


def test_missing_facts_say_so(checkpoint):
    (checkpoint / "training_summary.json").unlink()
    card = write_card(checkpoint).read_text()
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == SECTIONS
    assert "is not recorded" in section(card, "How it was made")
    assert "No results were given" in section(card, "Results")
    assert section(card, "Data").count("not stated") == 7
    assert "Not stated." in section(card, "Contact") and "# adapted\n" in card
    metadata = metadata_load(checkpoint / "README.md")
    assert not {"license", "language", "base_model", "model-index", "datasets"} & metadata.keys()
    assert not (checkpoint / "card_facts.json").exists()


def test_a_summary_of_an_older_run_is_enough(checkpoint, training):
    for name in ("corpus", "losses", "base_model_id", "earlier_trainings", "settings", "versions"):
        del training[name]
    (checkpoint / "training_summary.json").write_text(json.dumps({**training, "seconds": None, "device": None}))
    made = rows(section(write_card(checkpoint).read_text(), "How it was made"))
    assert {made[name] for name in ("Batch", "Learning rate", "Hardware", "Duration", "Software")} == {"not recorded"}
    # A name without an owner may be a folder's; nobody else's model is claimed as the base.
    assert "base_model" not in metadata_load(checkpoint / "README.md")


def test_tokens_are_told_where_they_are_known(checkpoint, training):
    def told(**changes):
        (checkpoint / "training_summary.json").write_text(json.dumps({**training, **changes}))
        return rows(section(write_card(checkpoint).read_text(), "How it was made")).get("Tokens read")

    assert told() is None  # spans are drawn, so tokens x epochs would be wrong
    assert told(tokens_read=98_765) == "98,765"
    assert told(objective="mlm") == "about 13,000 (tokens x epochs)"  # 4,321 x 3
    assert told(objective="mlm", epochs=0.5) == "about 2,160 (tokens x epochs)"
    assert told(objective="mlm", tokens_read=98_765) == "98,765"


def test_an_evaluation_on_validation_documents_says_so(checkpoint):
    value = {"value": 1.5, "low": 1.25, "high": 1.75}
    scores = {"16": {"mean": 0.5, "low": 0.25, "high": 0.75, "seeds": 5, "accuracy": 0.625}}
    masked = {
        "kind": "masked_lm",
        "label": None,
        "split": "validation",
        "documents": 9,
        "models": ["base", "adapted"],
        "measures": {"loss": [value, value], "perplexity": [{**value, "value": 8.0}, {**value, "value": 4.0}]},
    }
    space = {**masked, "kind": "embedding_space", "measures": {"uniformity": [None, value]}}
    probe = {
        "kind": "classification",
        "label": "specialty",
        "split": "validation",
        "documents": {"train": 40, "validation": 9},
        "classes": 2,
        "models": ["base", "adapted"],
        "shots": [16],
        "rows": [{"system": "adapted, logistic regression", "model": "adapted", "scores": scores}],
    }
    facts = replace(FACTS, results=(masked, space, probe))
    for _ in range(2):  # the second time, the evaluation takes the place of the first
        card = write_card(checkpoint, facts).read_text().replace("\N{NO-BREAK SPACE}", " ")
        results = section(card, "Results")
        assert results.count("### ") == 3 and results.count("9 validation documents") == 3
        assert "| Pseudo-perplexity | 8.000 [1.250, 1.750] | 4.000 [1.250, 1.750] |" in results
        assert "| **adapted, logistic regression** | 0.500 [0.250, 0.750] |" in results
    _, found = model_index_to_eval_results(metadata_load(checkpoint / "README.md")["model-index"])
    assert {one.dataset_split for one in found} == {"validation"}
    assert {(one.task_type, one.metric_type, one.metric_value) for one in found} == {
        ("fill-mask", "loss", 1.5),
        ("fill-mask", "perplexity", 4.0),
        ("feature-extraction", "uniformity", 1.5),
        ("text-classification", "f1", 0.5),
        ("text-classification", "accuracy", 0.625),
    }


def test_a_stated_base_model_takes_the_place_of_a_folder_name(checkpoint, training):
    training |= {"base_model": "model", "base_model_id": None}
    (checkpoint / "training_summary.json").write_text(json.dumps(training))
    facts = replace(FACTS, model=replace(FACTS.model, base_model="example/original"))
    card = write_card(checkpoint, facts).read_text()
    assert rows(section(card, "How it was made"))["Started from"] == "example/original"
    assert "adapted from example/original on" in card and "adapted from model" not in card


def test_nothing_of_the_machine_is_in_the_card(checkpoint, write_classification, training):
    training["settings"] |= {"output_dir": "/home/someone/run", "logging_dir": "/srv/secret", "hub_token": "hf_abc"}
    training["base_model"] = "base"
    (checkpoint / "training_summary.json").write_text(json.dumps(training))
    (checkpoint / "emissions.csv").write_text(
        "timestamp,energy_consumed,emissions,country_name,cpu_model\n"
        "1,0.5,0.125,Nowhere,Some CPU\n2,1.5,0.25,Nowhere,Some CPU\n"
    )
    write_card(checkpoint, FACTS, [write_classification()])
    for name in ("README.md", "card_facts.json"):
        text = (checkpoint / name).read_text()
        assert not re.search(r"(?<![\w<./])/(home|root|tmp|srv|work|var|usr)\b", text) and "hf_abc" not in text
        assert str(checkpoint.parent) not in text and socket.gethostname() not in text
        assert "Nowhere" not in text and "Some CPU" not in text
        assert not re.search(rf"\b{re.escape(getpass.getuser())}\b", text)
    made = rows((checkpoint / "README.md").read_text())
    assert made["Energy"] == "2 kWh, 0.375 kg of CO2 equivalents (codecarbon)"
    assert metadata_load(checkpoint / "README.md")["co2_eq_emissions"]["emissions"] == 375.0


def test_the_lineage_of_a_base_model_of_ours(checkpoint, training):
    training |= {"base_model": "mlm", "base_model_id": None}
    training["earlier_trainings"] = [{"objective": "mlm", "base_model": None, "steps": 345}]
    (checkpoint / "training_summary.json").write_text(json.dumps(training))
    made = rows(write_card(checkpoint).read_text())
    assert made["Started from"] == "mlm (itself made by masked language modelling, 345 steps, from scratch)"


def test_small_categories_are_not_named(checkpoint, training):
    categories = {f"large {number}": 100 - number for number in range(35)} | {"Ward of Mr X": 4, "one more": 1}
    training["corpus"]["splits"]["train"]["categories"] = categories
    (checkpoint / "training_summary.json").write_text(json.dumps(training))
    card = write_card(checkpoint).read_text()
    assert "Mr X" not in card and "one more" not in card and "fewer than 5 documents are not named" in card
    # Five large ones stand with the two small ones: 66 + ... + 70 documents, and 5.
    assert "| 7 other categories | 345 |" in card and card.count("| large ") == 30


def test_an_audit_is_printed_and_a_risk_that_was_accepted(checkpoint, audit):
    (checkpoint / "privacy_audit.png").write_bytes(b"image")
    card = write_card(checkpoint).read_text()
    words = section(card, "Privacy")
    assert "**Verdict of the audit: Risk: an attack works.**" in words
    assert "- Members are told apart, AUC 0.91." in words and "- A &lt;b&gt;third&lt;/b&gt; sentence." in words
    assert "| Threshold | chance | risk | value |" in words and "| auc | 0.5 | 0.65 |  |" in words
    assert "| exposure bits |  |  | 10 |" in words and "Rule: above \\| chance." in words
    assert "](privacy_audit.png)" in words and "against the verdict" not in words and "other weights" not in words
    write_card(checkpoint, accepted_risk="shared within\nthe *consortium*")
    # It stays when the card is made anew.
    words = section(write_card(checkpoint).read_text(), "Privacy")
    assert "against the verdict" in words and "The reason that was given: shared within the \\*consortium\\*" in words
    # A later audit may find nothing: then there is no verdict to share it against.
    (checkpoint / "privacy_audit.json").write_text(json.dumps({**audit, "verdict": "low"}))
    assert "against the verdict" not in section(write_card(checkpoint).read_text(), "Privacy")


def test_an_audit_of_other_weights_says_so(checkpoint, audit):
    with (checkpoint / "model.safetensors").open("ab") as weights:
        weights.write(b"x")
    assert "is of other weights than those in this folder" in section(write_card(checkpoint).read_text(), "Privacy")


def test_results_and_statements_stay_without_being_given_again(checkpoint, write_classification, write_space):
    first = write_card(checkpoint, FACTS, [write_classification()]).read_text()
    assert write_card(checkpoint).read_text() == first
    more = write_card(checkpoint, CardFacts(data=DataStatement(period="2020")), [write_space()]).read_text()
    assert "### Classification: specialty" in more and "### Embedding space: specialty" in more
    assert rows(more)["Period"] == "2020" and rows(more)["Source"] == "one hospital"
    # The same study again takes the place of the earlier one.
    again = write_card(checkpoint, results=[write_classification(name="again", shots=(None,))]).read_text()
    assert again.count("### Classification: specialty") == 1 and "8 labels a class" not in again
    # A study evaluates the same models with the same label in several ways: of those given together all stay.
    ways = [write_classification(name="frozen", shots=(8,)), write_classification(name="tuned", shots=(None,))]
    both = write_card(checkpoint, results=ways).read_text()
    assert both.count("### Classification: specialty") == 2 and "8 labels a class" in both


def test_ways_to_use_an_encoder_have_headings_of_their_own(checkpoint, write_classification):
    def result(name, **changes):
        file = write_classification(name=name) / "results.json"
        content = json.loads(file.read_text())
        content["cells"] = [{**cell, **(changes if cell["model"] else {})} for cell in content["cells"]]
        file.write_text(json.dumps(content))
        return file.parent

    ways = [result("probe"), result("tuned", method="fine_tuned", frozen="none")]
    ways += [result("partly", method="fine_tuned", frozen="2"), write_classification(name="other", label="note_type")]
    card = write_card(checkpoint, replace(FACTS, result_name="adapted"), ways).read_text()
    assert re.findall("### Classification: (.+)", card) == [
        "specialty (logistic regression)",
        "specialty (fine-tuned)",
        "specialty (fine-tuned, 2 layers frozen)",
        "note_type",
    ]


def test_a_card_has_the_resamples_of_its_report(checkpoint, write_classification):
    folder = write_classification()
    few = write_card(checkpoint, FACTS, [folder]).read_text()
    (folder / "comparisons.json").write_text('{"resamples": 1040}')
    from reporting.classification_results import load_results
    from reporting.result_rows import aggregate_rows

    more = write_card(checkpoint, FACTS, [folder]).read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert more != few
    for row in aggregate_rows(load_results(folder), resamples=1040):
        assert f"{row.mean:.3f} [{row.interval[0]:.3f}, {row.interval[1]:.3f}]" in more


def test_figures_by_relative_path_only_where_they_lie_in_the_folder(checkpoint, tmp_path):
    (checkpoint / "figures").mkdir()
    for name in ("few_shot curves.png", "few_shot curves.svg", "notes.txt"):
        (checkpoint / "figures" / name).write_bytes(b"x")
    (tmp_path / "outside.png").write_bytes(b"x")
    (checkpoint / "figures" / "link.png").symlink_to(tmp_path / "outside.png")
    card = write_card(checkpoint).read_text()
    assert re.findall(r"!\[(.*)\]\((.*)\)", card) == [("few shot curves", "figures/few_shot%20curves.png")]


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("privacy_audit.json", '{"kind": "privacy_audit"}', "is not a privacy audit"),
        ("privacy_audit.json", "{", "is not whole JSON"),
        ("training_summary.json", "[]", "does not hold fields"),
        ("card_facts.json", '{"schema_version": 1}', "does not hold the facts"),
        ("card_facts.json", '{"schema_version": 9}', "schema version 9"),
        ("emissions.csv", "a,b\n1,2\n", "is not a file of codecarbon"),
        ("README.md", "# A card of another hand\n", "another hand"),
        ("README.md", "<!-- notespace:card 1 --><!-- notespace:keep a -->", "does not end"),
    ],
)
def test_a_damaged_file_is_named_and_the_card_stays(checkpoint, file, content, problem):
    if file != "README.md":
        write_card(checkpoint)
    (checkpoint / file).write_text(content)
    before = (checkpoint / "README.md").read_text()
    with pytest.raises(InputError, match=problem) as caught:
        write_card(checkpoint)
    assert caught.value.file == checkpoint / file
    assert (checkpoint / "README.md").read_text() == before


def test_results_that_cannot_be_used(checkpoint, write_classification, tmp_path):
    folder = write_classification()
    with pytest.raises(InputError, match=r"several models; say with --result_name .* base, adapted"):
        write_card(checkpoint, results=[folder])
    with pytest.raises(InputError, match="know no model 'other'"):
        write_card(checkpoint, replace(FACTS, result_name="other"), [folder])
    with pytest.raises(InputError, match=r"holds no results\.json"):
        write_card(checkpoint, FACTS, [tmp_path])
    content = json.loads((folder / "results.json").read_text())
    content["cells"][0]["predictions"] = "../elsewhere.npz"
    (folder / "results.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="outside the folder"):
        write_card(checkpoint, FACTS, [folder])
    (folder / "results.json").write_text(json.dumps({**content, "kind": "tokens"}))
    with pytest.raises(InputError, match="is not of classify"):
        write_card(checkpoint, FACTS, [folder])
    assert not (checkpoint / "README.md").exists()


def test_a_statement_of_the_wrong_form():
    with pytest.raises(ValueError, match="--license"):
        ModelStatement(license="Apache License, Version 2.0")
    with pytest.raises(ValueError, match="--language"):
        ModelStatement(language=["English"])


def test_a_checkpoint_of_a_run_is_named_after_the_run(checkpoint):
    folder = checkpoint / "checkpoint-12"
    folder.mkdir()
    card = render_card(folder, CardFacts())
    assert "# adapted, checkpoint 12\n" in card and '"adapted/checkpoint-12"' in card
    named = render_card(folder, CardFacts(model=ModelStatement(repo_id="ward/notes")))
    assert "# notes\n" in named and '"ward/notes"' in named


def test_a_table_of_many_models_shows_the_first_and_the_cards_own():
    value = {"value": -1.0, "low": -2.0, "high": 0.0}
    names = ["base", "mlm", "declutr", "both", "other"]
    result = {"models": names, "measures": {"uniformity": [{**value, "value": -place} for place in range(5)]}}
    shown = space_table(result, "declutr")
    assert shown.splitlines()[0].split("|")[3:-1] == [" base ", " **declutr** "]
    assert "-2" in shown and "-3" not in shown
    assert shown.endswith("3 further models were measured beside these.")
    few = {"models": names[:4], "measures": {"uniformity": [value] * 4}}
    assert "further" not in space_table(few, "declutr")
