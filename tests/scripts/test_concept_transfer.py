"""concept_transfer.py as a user runs it: cells and files, resumption, and one clear line for each fault."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import concept_transfer
import concept_transfer_cells
import concept_transfer_fits
from command_line import RecipeParser
from concept_transfer_cells import TransferCell, all_cells
from concept_transfer_options import ConceptOptions, FitOptions, TransferOptions
from corpora.encounter_options import EncounterOptions
from corpora.encounters import ConceptState
from corpora.errors import InputError
from modeling.concept_set_classifier import ConceptSetClassifier
from modeling.concept_table import ConceptTable

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
FINDINGS = {"F1": "fever", "F2": "cough", "F3": "chest pain", "F4": "knee swelling", "F5": "mild cough"}


def write_site(path, count=120, seed=0, findings=FINDINGS, weight=1.6):
    """A wide table in which the first two findings raise the odds of the outcome."""
    generator = np.random.default_rng(seed)
    said = generator.random((count, len(findings))) < 0.4
    odds = weight * said[:, :2].sum(1) - 1.5
    sick = generator.random(count) < 1 / (1 + np.exp(-odds))
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patient_id", *findings, "outcome"])
        for number in range(count):
            values = np.where(said[number], "P", np.where(generator.random(len(findings)) < 0.2, "M", "A"))
            writer.writerow([f"{path.stem}{number}", *values, int(sick[number])])
    return path


@pytest.fixture
def files(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{code}: {name}\n" for code, name in {**FINDINGS, "L4": "swollen knee"}.items()))
    local = {"F1": 0, "F2": 0, "F3": 0, "L4": 0}  # a code of its own in place of F4, none for F5
    return {
        "names": names,
        "north": write_site(tmp_path / "north.csv"),
        "south": write_site(tmp_path / "south.csv", seed=1, findings=local),
        "test": write_site(tmp_path / "held_out.csv", seed=2, findings=local),
    }


@pytest.fixture
def no_report(monkeypatch):
    """Leave out tables and figures, which another test looks at."""
    monkeypatch.setattr(concept_transfer, "report", lambda folder: None)


@pytest.fixture
def no_figures(monkeypatch):
    """Leave out the figures, which another test looks at."""
    monkeypatch.setattr("reporting.transfer_figures.transfer_figures", lambda *_: {})
    monkeypatch.setattr("reporting.transfer_comparison_figures.comparison_figures", lambda *_: {})


def study(files, folder, *options):
    words = ["--sources", f"north={files['north']}", "--target", f"south={files['south']}", "--output_dir", folder]
    words += ["--target_test", files["test"], "--encounter_format", "wide", "--outcome_column", "outcome"]
    words += ["--positive_values", "1", "--concept_names", files["names"], "--patient_column", "patient_id"]
    words += ["--target_sizes", 40, "--seeds", 2, "--epochs", 2, "--tuning_epochs", 2, "--least_steps", 2, "--quiet"]
    words += ["--learning_rates", 0.01, "--tuning_learning_rates", 0.001, 0.01, "--random_size", 8]
    return concept_transfer.main([str(word) for word in [*words, *options]])


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_the_files_hold_what_they_say(files, make_encoder, tmp_path, capsys):
    protocols = ["--protocols", "local", "direct", "pooled", "tuned_head", "tuned_all"]
    options = ["--embeddings", f"tiny={make_encoder('bert')}", "--target_sizes", 40, 0, "--seeds", 1]
    study(files, tmp_path / "out", *options, *protocols)
    found = results(tmp_path / "out")
    assert (found["schema_version"], found["kind"], found["target"]) == (1, "concept_transfer", "south")
    cells = {cell["id"]: cell for cell in found["cells"]}
    # Set classifier: local 2, direct 1, pooled 2, tuned 4; logistic regression is not tuned. Majority: 2 and 1.
    assert len(cells) == len(found["cells"]) == 3 + 3 * (9 + 5)
    targets = np.load(tmp_path / "out" / "test_targets.npz")
    assert targets["targets"].shape == targets["patients"].shape == (120,)
    for cell in cells.values():
        probabilities = np.load(tmp_path / "out" / cell["predictions"])["probabilities"]
        assert probabilities.shape == (120,) and 0 <= probabilities.min() <= probabilities.max() <= 1
        assert cell["metrics"]["brier"] == pytest.approx(((probabilities - targets["targets"]) ** 2).mean(), abs=1e-5)
        assert {"auroc", "auprc", "ece"} <= cell["metrics"].keys()
    tuned = cells["full-north-tiny-scaled-set_max-tuned_all-n40-0"]
    assert (tuned["train"], tuned["validation"]) == (32, 8)
    assert [record["epoch"] for record in tuned["trajectory"]] == [0, 1, 2]
    chosen = tuned["trajectory"][tuned["best_epoch"]]
    assert chosen["test_auroc"] == pytest.approx(tuned["metrics"]["auroc"], abs=1e-4)
    direct = cells["full-north-tiny-scaled-set_max-direct-n0-0"]
    assert tuned["trajectory"][0]["test_auroc"] == pytest.approx(direct["metrics"]["auroc"], abs=1e-4)
    assert [one["learning_rate"] for one in tuned["tried"]] == [0.001, 0.01]
    assert cells["full-majority-local-all-0"]["metrics"]["auroc"] == 0.5
    assert cells["full-one_hot-scaled-logistic_max-local-all-0"]["metrics"]["auroc"] > 0.65
    assert found["overlaps"][0]["shared_codes"] == 3 and found["sites"]["north"]["encounters"] == 120

    # The saved source model and its table predict as the cell did, on a site with codes that the source lacks.
    model = ConceptSetClassifier.from_pretrained(tmp_path / "out" / "models" / direct["id"])
    table = ConceptTable.load(tmp_path / "out" / "tables" / "full-north-tiny-scaled")
    assert "L4=present" in {state.key for state in table.states} and model.config.embedding_size == 16
    from corpora.encounter_loading import load_encounters

    options = EncounterOptions(
        encounter_format="wide",
        outcome_column="outcome",
        positive_values=["1"],
        concept_names=str(files["names"]),
        patient_column="patient_id",
    )
    test = load_encounters(str(files["test"]), options, "south")
    stored = np.load(tmp_path / "out" / direct["predictions"])["probabilities"]
    np.testing.assert_allclose(model.predict(test, table), stored, atol=1e-5)
    # Centred by the source's concepts, and all of one length.
    known = [row for row, state in enumerate(table.states) if state.code != "L4"]
    np.testing.assert_allclose(np.linalg.norm(table.vectors, axis=1), 10, rtol=1e-4)
    assert len(known) == 10

    printed = capsys.readouterr().out
    assert "tiny, concept set, maximum" in printed and "tuned, all, 40" in printed
    for name in ("table.md", "transfer_sizes.png", "transfer_tuning_n40.svg", "transfer_ranking.png"):
        assert (tmp_path / "out" / name).is_file()
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_interrupted_anywhere_it_ends_the_same_and_computes_nothing_twice(files, tmp_path, monkeypatch, no_figures):
    options = ["--classifiers", "set_mean", "--protocols", "direct", "tuned_head", "--choose_rate", "once"]
    study(files, tmp_path / "whole", *options)
    written, fitted = concept_transfer.TransferFolder.write, concept_transfer_fits.TransferFits._fit
    fits = []
    monkeypatch.setattr(
        concept_transfer_fits.TransferFits,
        "_fit",
        lambda self, *given: fits.append(given[0].id) or fitted(self, *given),
    )
    for stop in (2, 3, 3):
        done = []

        def write(self, cell, *given, done=done, stop=stop):
            if len(done) == stop:
                raise KeyboardInterrupt
            done.append(cell.id)
            written(self, cell, *given)

        monkeypatch.setattr(concept_transfer.TransferFolder, "write", write)
        with pytest.raises(KeyboardInterrupt):
            study(files, tmp_path / "out", *options)
        assert not (tmp_path / "out" / "results.json").exists()
    monkeypatch.setattr(concept_transfer.TransferFolder, "write", written)
    times = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out" / "cells").iterdir()}
    study(files, tmp_path / "out", *options)
    for name, moment in times.items():
        assert (tmp_path / "out" / "cells" / name).stat().st_mtime_ns == moment, name
    # Models of the source are made once; a cell cut off while it was written is computed once more, no other is.
    repeated = len(fits) - len(set(fits))
    assert repeated <= 3 and not [name for name in set(fits) if "direct" in name and fits.count(name) > 1]
    one, other = ([{**cell, "seconds": 0} for cell in results(tmp_path / name)["cells"]] for name in ("whole", "out"))
    assert one == other
    for file in ("table.md", "comparisons.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "out" / file).read_bytes()
    # The rate of the first seed serves the other.
    tried = {
        cell["seed"]: [t["learning_rate"] for t in cell["tried"]] for cell in one if cell["protocol"] == "tuned_head"
    }
    assert len(tried[0]) == 2 and len(tried[1]) == 1

    count = len(fits)
    study(files, tmp_path / "out", *options, "--seeds", 3)  # more cells may be asked for, other settings may not
    assert {name[-1] for name in fits[count:]} == {"2"}
    with pytest.raises(InputError, match="other settings \\(filters\\)"):
        study(files, tmp_path / "out", *options, "--filters", 7)
    write_site(files["north"], seed=9)
    with pytest.raises(InputError, match="another site north; choose another"):
        study(files, tmp_path / "out", *options)
    study(files, tmp_path / "out", *options, "--filters", 7, "--restart", "--seeds", 1)
    assert len(list((tmp_path / "out" / "models").iterdir())) == 2  # one_hot and random, one seed


@pytest.mark.parametrize("lost", ["model", "fit.json", "model.safetensors", "config.json"])
def test_a_source_model_that_lost_a_file_is_made_again(files, tmp_path, no_report, lost):
    options = ["--classifiers", "set_mean", "--protocols", "direct", "tuned_head", "--choose_rate", "once"]
    study(files, tmp_path / "out", *options, "--seeds", 1)
    before = results(tmp_path / "out")
    model = tmp_path / "out" / "models" / "full-north-one_hot-scaled-set_mean-direct-n0-0"
    weights = (model / "model.safetensors").read_bytes()
    if lost == "model":
        shutil.rmtree(model)
    elif lost == "fit.json":
        (model / lost).unlink()
    else:
        os.truncate(model / lost, 100)
    if lost != "model":  # otherwise it is the second seed that asks for it, for its learning rate
        (tmp_path / "out" / "cells" / "full-north-one_hot-scaled-set_mean-tuned_head-n40-0.npz").unlink()
    study(files, tmp_path / "out", *options)
    after = results(tmp_path / "out")["cells"]
    known = {cell["id"]: {**cell, "seconds": 0} for cell in after}
    assert len(after) > len(before["cells"])
    assert all(known[cell["id"]] == {**cell, "seconds": 0} for cell in before["cells"])
    assert (model / "model.safetensors").read_bytes() == weights and (model / "fit.json").is_file()


def test_settings_change_the_vectors_and_the_training(files, make_encoder, tmp_path, monkeypatch, no_report):
    from trainers import concept_set_training

    plans = []
    original = concept_set_training.fit_concept_sets

    def fit(model, vectors, train, validation, plan, seed):
        plans.append((plan, vectors.norm(dim=1)))
        plan = concept_set_training.FitPlan(plan.learning_rate, epochs=1, part=plan.part)
        return original(model, vectors, train, validation, plan, seed)

    monkeypatch.setattr(concept_set_training, "fit_concept_sets", fit)
    options = ["--embeddings", f"tiny={make_encoder('bert')}", "--settings", "scaled", "raw", "published", "--seeds", 1]
    options += ["--protocols", "direct", "tuned_all", "--target_sizes", 40, "--classifiers", "set_max", "logistic_max"]
    study(files, tmp_path / "out", *options, "--norm", "3", "--no_centre")
    published = [plan for plan, _ in plans if plan.optimizer == "sgd"]
    assert {(plan.learning_rate, plan.batch_size, plan.epochs, plan.steps) for plan in published} == {
        (0.001, 32, 50, 100),
        (0.01, 32, 50, 100),
    }
    assert len(published) == 3 * 2 and len(plans) == 6 + 2 * 3 * (1 + 2)
    scaled, raw = (ConceptTable.load(tmp_path / "out" / "tables" / f"full-north-tiny-{n}") for n in ("scaled", "raw"))
    np.testing.assert_allclose(np.linalg.norm(scaled.vectors, axis=1), 3, rtol=1e-5)
    lengths = np.linalg.norm(raw.vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(scaled.vectors, 3 * raw.vectors / lengths, rtol=1e-4)  # not centred
    one_hot = ConceptTable.load(tmp_path / "out" / "tables" / "full-north-one_hot-raw")
    np.testing.assert_array_equal(one_hot.vectors, np.eye(len(one_hot.states)))
    logistic = {cell["setting"] for cell in results(tmp_path / "out")["cells"] if cell["classifier"] == "logistic_max"}
    assert logistic == {"scaled"}


def test_vocabularies(files, tmp_path):
    options = ["--vocabularies", "full", "shared", "disjoint", "dealt", "renamed", "--renamed_shares", 0.34, 1]
    study(files, tmp_path / "out", *options, "--protocols", "direct", "local", "--seeds", 1, "--classifiers", "set_max")
    found = results(tmp_path / "out")
    shared = {one["vocabulary"]: one["shared_codes"] for one in found["overlaps"]}
    assert shared == {"full": 3, "shared": 3, "disjoint": 0, "dealt": 0, "renamed_0.34": 2, "renamed_1": 0}
    auroc = {cell["id"]: cell["metrics"]["auroc"] for cell in found["cells"]}
    # One-hot has nothing to go by where no code is shared: every encounter of the target has the same score.
    for vocabulary in ("disjoint", "dealt", "renamed_1"):
        # But for encounters of which nothing is said.
        assert abs(auroc[f"{vocabulary}-north-one_hot-scaled-set_max-direct-n0-0"] - 0.5) < 0.05
        assert auroc[f"{vocabulary}-north-random-scaled-set_max-direct-n0-0"] != 0.5
    assert auroc["full-north-one_hot-scaled-set_max-direct-n0-0"] > 0.6
    # The target's own classifier stands beside each, in the codes that it has left.
    assert auroc["shared-north-one_hot-scaled-set_max-local-n40-0"] > 0.5
    assert "full-one_hot-scaled-set_max-local-n40-0" in auroc
    assert (tmp_path / "out" / "transfer_vocabularies.png").is_file()


def test_the_best_possible_score_is_that_of_the_network(files, tmp_path, no_report):
    codes = ["F1", "F2", "F3", "L4"]
    parts = ["<VARIABLE><NAME>outcome</NAME><OUTCOME>0</OUTCOME><OUTCOME>1</OUTCOME></VARIABLE>"]
    parts += [f"<VARIABLE><NAME>{code}</NAME><OUTCOME>A</OUTCOME><OUTCOME>P</OUTCOME></VARIABLE>" for code in codes]
    parts += ["<DEFINITION><FOR>outcome</FOR><TABLE>0.5 0.5</TABLE></DEFINITION>"]
    table = "<GIVEN>outcome</GIVEN><TABLE>0.6 0.4 0.3 0.7</TABLE>"
    parts += [f"<DEFINITION><FOR>{code}</FOR>{table}</DEFINITION>" for code in codes]
    network = f"<BIF VERSION='0.3'><NETWORK><NAME>made</NAME>{''.join(parts)}</NETWORK></BIF>"
    (tmp_path / "net.bif").write_text(network)
    options = ["--bayes_network", tmp_path / "net.bif", "--protocols", "direct", "--seeds", 1]
    study(files, tmp_path / "out", *options, "--missing_as", "absent")
    cell = next(cell for cell in results(tmp_path / "out")["cells"] if cell["protocol"] == "ceiling")
    found = np.load(tmp_path / "out" / cell["predictions"])["probabilities"]
    with files["test"].open() as stream:
        rows = list(csv.DictReader(stream))
    odds = [np.prod([{"P": 0.7 / 0.4, "A": 0.3 / 0.6, "M": 1.0}[row[code]] for code in codes]) for row in rows]
    np.testing.assert_allclose(found, np.array(odds) / (1 + np.array(odds)), rtol=1e-5)


def test_faults_are_one_line_and_leave_nothing(files, make_encoder, tmp_path):
    nobody = tmp_path / "nobody.csv"
    nobody.write_text("patient_id,F1,outcome\n" + "".join(f"p{n},P,{int(n == 1)}\n" for n in range(30)))
    missing = tmp_path / "missing.csv"
    missing.write_text(files["south"].read_text().replace(",1\n", ",\n", 1))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    for options, message in [
        (["--target", f"south={nobody}"], "1 of 30 encounters with the outcome"),
        (["--target", f"south={missing}"], "the outcome is missing"),
        (["--target", f"south={files['north']}"], "at both sites"),
        (["--target_test", files["south"]], "patients are in the target's test"),
        (["--target", "south"], "NAME=PATH"),
        (["--target_sizes", 5000], "sample of 5,000"),
        (["--embeddings", tmp_path], "NAME=PATH"),
        (["--embeddings", f"tiny={tmp_path / 'nowhere'}"], "nowhere"),
        (["--embeddings", f"random={make_encoder('bert')}"], "name of a control"),
        (["--negation", "none"], "the template 'none'"),
        (["--bayes_network", tmp_path / "none.bif"], "no such file"),
        (["--output_dir", tmp_path / "foreign"], "not of a study"),
        (["--embeddings", f"../x={make_encoder('bert')}"], "'../x' cannot name a file"),
        (["--norm", 0], "--norm must be above 0"),
        (["--seeds", 0], "--seeds is below 1"),
        (["--renamed_names", "synonyms"], "needs a file of --synonyms"),
    ]:
        with pytest.raises(InputError) as error:
            study(files, tmp_path / "out", *options)
        assert message in str(error.value) and "\n" not in str(error.value), str(error.value)
        assert not (tmp_path / "out").exists(), message
    assert [file.name for file in (tmp_path / "foreign").iterdir()] == ["thesis.txt"]


def test_a_network_needs_the_classes_of_the_outcome(files, tmp_path):
    words = [
        "--sources",
        f"north={files['north']}",
        "--target",
        f"south={files['south']}",
        "--encounter_format",
        "wide",
    ]
    words += ["--outcome_column", "outcome", "--outcome_above", 0.5, "--bayes_network", files["names"]]
    with pytest.raises(InputError, match="--bayes_network needs the outcome's classes; give --positive_values"):
        concept_transfer.main([str(word) for word in [*words, "--output_dir", tmp_path / "out"]])
    assert not (tmp_path / "out").exists()


def test_a_fault_on_the_command_line_is_one_line(run_script, files, tmp_path):
    result = run_script(
        "concept_transfer", "--sources", "a=b.csv", "--target", "b=c.csv", "--output_dir", tmp_path / "o"
    )
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("concept_transfer.py: error: ") and result.stderr.count("\n") == 1
    assert "--vocabularies" in run_script("concept_transfer", "--help").stdout


def test_cells_have_names_of_their_own():
    cells = list(
        all_cells(
            embeddings=["one_hot", "a"],
            settings=["scaled", "raw"],
            classifiers=["set_max", "logistic_max"],
            protocols=["local", "direct", "pooled", "tuned_head", "tuned_all"],
            sources=["north", "east"],
            vocabularies=["full", "shared"],
            sizes=[50, None],
            seeds=[0, 1],
            ceiling=True,
        )
    )
    assert len({cell.id for cell in cells}) == len(cells)
    assert (
        cells[0].classifier == "bayes_ceiling"
        and [cell.protocol for cell in cells[1:5]] == ["local"] * 2 + ["direct"] * 2
    )
    local = [cell for cell in cells if cell.protocol == "local" and cell.embedding == "a"]
    # Of the full vocabulary once, of the shared one for each source.
    assert {(cell.vocabulary, cell.source) for cell in local} == {
        ("full", None),
        ("shared", "north"),
        ("shared", "east"),
    }
    tuned = next(cell for cell in cells if cell.protocol == "tuned_head")
    assert tuned.fit in cells and tuned.fit.protocol == "direct"
    # A model is used as soon as it is made.
    assert isinstance(tuned, TransferCell) and cells.index(tuned.fit) < cells.index(tuned)


@pytest.mark.parametrize("name", ["demo", "two_site_flu", "ehr"])
def test_recipes_name_known_options(name):
    recipe = RECIPES / f"concept_transfer_{name}.yaml"
    needed = ["--sources", "a=a", "--target", "b=b", "--output_dir", "out"]
    parsed = RecipeParser([TransferOptions, ConceptOptions, FitOptions, EncounterOptions]).parse([str(recipe), *needed])
    found = {key: value for part in parsed for key, value in vars(part).items()}
    for key, value in yaml.safe_load(recipe.read_text()).items():
        if key == "target_sizes":
            assert set(found[key]) == set(value)
        elif isinstance(value, list):
            kind = type(found[key][0])
            assert found[key] == [kind(one) for one in value], key
        else:
            assert found[key] == value, key
    assert found["seeds"] >= 5


def test_a_state_of_the_other_site_is_told_by_its_key():
    from concept_transfer_sites import joined

    first, second = [ConceptState("A", "a")], [ConceptState("A", "other name"), ConceptState("B", "b")]
    assert joined(first, second) == (ConceptState("A", "a"), ConceptState("B", "b"))
    assert concept_transfer_cells.SCHEMA_VERSION == 1
