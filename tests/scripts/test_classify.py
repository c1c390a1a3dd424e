"""classify.py as a user runs it: the table, resumption, and one clear line for each fault."""

import json
import shutil

import numpy as np
import pytest

import classify
from classification_cells import all_cells
from corpora.errors import InputError

WORDS = {"cardiology": "chest pain echo", "renal": "dyspnoea exertion clinic", "skin": "rash cough fever"}


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(scope="module")
def base(make_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    model, tokenizer = make_model("bert")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def no_figures(monkeypatch):
    """Leave out the figures, which the first test looks at."""
    monkeypatch.setattr("reporting.classification_report._write_figures", lambda *_: None)


def rows(count=120, seed=0):
    random = np.random.default_rng(seed)
    filler = "the patient was admitted with no review in home follow up".split()
    for number in range(count):
        label = list(WORDS)[number % 3]
        words = [*random.choice(WORDS[label].split(), 3), *random.choice(filler, random.integers(5, 90))]
        split = ["train", "train", "train", "validation", "test"][number // 3 % 5]
        yield {
            "text": " ".join(random.permutation(words)),
            "document_id": f"d{number}",
            "patient_id": f"p{number}",
            "specialty": label if number % 17 else None,
            "flags": [name for name in WORDS if name in (label, list(WORDS)[number % 2])],
            "severity": number % 3 + 1,
            "split": split,
        }


@pytest.fixture
def corpus(tmp_path):
    return write(tmp_path / "notes.jsonl", rows())


def write(path, lines):
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return path


def study(data, folder, *options, label="specialty"):
    words = ["--data", data, "--split_column", "split", "--label_column", label, "--output_dir", folder]
    words += ["--use_cpu", "--seeds", 2, "--shots", 4, 0, "--head_epochs", 3, "--epochs", 1, "--quiet", *options]
    return classify.main([str(word) for word in words])


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_every_method_has_its_cells_and_the_files_hold_what_they_say(base, corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("classification_probes.TIMES_RAREST", (1,))
    monkeypatch.setattr("classification_probes.REPEATS", 1)
    methods = ["--methods", "logistic_regression", "knn", "hybrid", "mlp", "fine_tuned", "lora", "bagged_hybrid"]
    options = ["--freeze", "none", "1", "--seeds", 1, "--readings", "windows", "attention"]
    study(corpus, tmp_path / "out", "--models", f"tiny={base}", *methods, *options)
    found = results(tmp_path / "out")
    assert (found["schema_version"], found["kind"], found["task"]) == (1, "classification", "single_label")
    assert found["labels"] == ["cardiology", "renal", "skin"]
    systems = {(cell["model"], cell["method"], cell["reading"], cell["frozen"]) for cell in found["cells"]}
    assert len(systems) == 3 + 8 + 4  # probes have no attention to learn
    assert len(found["cells"]) == 2 * len(systems)
    targets = np.load(tmp_path / "out" / "test_targets.npz")
    for cell in found["cells"]:
        probabilities = np.load(tmp_path / "out" / cell["predictions"])["probabilities"]
        assert probabilities.shape == (len(targets["targets"]), 3)
        np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-4)
        accuracy = np.mean(probabilities.argmax(1) == targets["targets"])
        assert cell["metrics"]["accuracy"] == pytest.approx(accuracy)
        assert {"f1_macro", "f1_weighted", "roc_auc_macro", "ece", "brier"} <= cell["metrics"].keys()
    scores = {cell["id"]: cell["metrics"]["f1_macro"] for cell in found["cells"]}
    assert scores["tfidf-all-0"] > 0.9 > scores["majority-all-0"]
    trained = {(cell["method"], cell["frozen"]): cell["trained_parameters"] for cell in found["cells"]}
    assert trained["mlp", "all"] < trained["lora", "none"] < trained["fine_tuned", "none"]
    assert trained["mlp", "all"] < trained["fine_tuned", "1"] < trained["fine_tuned", "none"]
    printed = capsys.readouterr().out
    assert "TF-IDF" in printed and "tiny" in printed
    assert (tmp_path / "out" / "table.md").is_file() and (tmp_path / "out" / "few_shot_curves.png").is_file()
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_an_interrupted_study_goes_on_and_ends_the_same(base, corpus, tmp_path, monkeypatch, no_figures):
    options = ["--models", f"tiny={base}", "--methods", "knn", "mlp", "--readings", "head_tail"]
    study(corpus, tmp_path / "whole", *options)
    written = classify.ResultFolder.write
    computed = []

    def stop(self, cell, *arguments):
        if len(computed) == 9:
            raise KeyboardInterrupt
        computed.append(cell.id)
        written(self, cell, *arguments)

    monkeypatch.setattr(classify.ResultFolder, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        study(corpus, tmp_path / "out", *options)
    assert not (tmp_path / "out" / "results.json").exists()
    times = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out" / "cells").iterdir()}
    assert len(times) == 18
    monkeypatch.setattr(classify.ResultFolder, "write", written)
    study(corpus, tmp_path / "out", *options)
    for name, moment in times.items():
        assert (tmp_path / "out" / "cells" / name).stat().st_mtime_ns == moment, name
    one, other = ([{**cell, "seconds": 0} for cell in results(tmp_path / name)["cells"]] for name in ("whole", "out"))
    assert one == other
    assert (tmp_path / "whole" / "table.md").read_text() == (tmp_path / "out" / "table.md").read_text()
    # More cells may be asked for later; other settings may not.
    study(corpus, tmp_path / "out", *options, "--shots", 2, 4, 0, "--seeds", 1)
    assert "tiny-knn-head_tail-all-s2-0" in {cell["id"] for cell in results(tmp_path / "out")["cells"]}
    with pytest.raises(InputError, match="other settings \\(head_dropout\\)"):
        study(corpus, tmp_path / "out", *options, "--head_dropout", 0.2)
    other = tmp_path / "other"
    shutil.copytree(base, other)
    (other / "config.json").write_text(
        (base / "config.json").read_text().replace('"hidden_act": "gelu"', '"hidden_act": "relu"')
    )
    with pytest.raises(InputError, match="another model of the name 'tiny'"):
        study(corpus, tmp_path / "out", "--models", f"tiny={other}")
    study(corpus, tmp_path / "out", "--shots", 4, "--head_dropout", 0.2, "--restart")
    assert len(results(tmp_path / "out")["cells"]) == 4


def test_few_weights_by_peft_have_cells_of_their_own(base, corpus, tmp_path, capsys, no_figures):
    methods = ["mlp", "lora", "dora", "ia3", "ln_tuning"]
    options = ["--methods", *methods, "--freeze", "1", "--no_baselines", "--seeds", 1, "--shots", 4, "--lora_rank", 2]
    study(corpus, tmp_path / "out", "--models", f"tiny={base}", *options, "--readings", "head")
    found = results(tmp_path / "out")["cells"]
    assert [cell["id"] for cell in found] == [
        f"tiny-{method}-head-{'all' if method == 'mlp' else 'none'}-s4-0" for method in methods
    ]
    trained = {cell["method"]: cell["trained_parameters"] for cell in found}
    added = {method: trained[method] - trained["mlp"] for method in methods}
    # Two layers of 16 x 16 (four), 16 x 32 and 32 x 16; five norms of 16 weights and biases.
    assert added["lora"] == 2 * (4 * 2 * (16 + 16) + 2 * 2 * (16 + 32))
    assert added["dora"] == added["lora"] + 2 * (4 * 16 + 32 + 16)
    assert added["ia3"] == 2 * (4 * 16 + 2 * 32) and added["ln_tuning"] == 5 * 2 * 16
    table = capsys.readouterr().out
    assert all(name in table for name in ("tiny, LoRA", "tiny, DoRA", "tiny, IA3", "tiny, layer-norm tuning"))


@pytest.mark.parametrize(("label", "task"), [("flags", "multi_label"), ("severity", "ordinal")])
def test_lists_and_scales(base, corpus, tmp_path, label, task, no_figures):
    order = ["--label_order", 1, 2, 3] if task == "ordinal" else []
    methods = ["--methods", "logistic_regression", "hybrid", "mlp", "fine_tuned", "--seeds", 1, "--shots", 4]
    study(corpus, tmp_path / "out", "--models", f"tiny={base}", *methods, *order, label=label)
    found = results(tmp_path / "out")
    assert found["task"] == task
    names = {"mean_absolute_error"} if task == "ordinal" else {"f1_micro"}
    assert all(names <= cell["metrics"].keys() for cell in found["cells"])


def test_without_a_validation_split_a_part_of_training_is_kept_for_it(corpus, tmp_path, no_figures):
    lines = [{**line, "split": "test" if line["split"] == "test" else "train"} for line in rows()]
    study(write(tmp_path / "two.jsonl", lines), tmp_path / "out")
    documents = results(tmp_path / "out")["documents"]
    assert documents["validation"] == pytest.approx(0.1 * (documents["train"] + documents["validation"]), abs=3)


def test_samples_are_the_same_for_every_model_and_nested():
    cells = list(all_cells(["a", "b"], ["knn", "mlp"], ["windows"], ["none"], [None, 8], [0, 1], baselines=True))
    assert len({cell.id for cell in cells}) == len(cells) == 2 * 3 + 2 * (3 + 4)
    attention = all_cells(["a"], ["knn", "mlp", "lora"], ["attention"], ["none"], [None], [0], baselines=False)
    assert [cell.method for cell in attention] == ["mlp", "lora"]


def test_faults_are_one_line(base, corpus, tmp_path):
    lines = list(rows())
    without = write(
        tmp_path / "a.jsonl", [{**line, "specialty": None if line["split"] == "test" else "x"} for line in lines]
    )
    one = write(tmp_path / "b.jsonl", [{**line, "specialty": "renal"} for line in lines])
    floats = write(tmp_path / "c.jsonl", [{**line, "specialty": number * 0.37} for number, line in enumerate(lines)])
    empty = write(tmp_path / "d.jsonl", [{**line, "text": ""} for line in lines])
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    for data, options, message in [
        (tmp_path / "none.jsonl", [], "none.jsonl"),
        (without, [], "specialty"),
        (one, [], "specialty"),
        (floats, [], "specialty"),
        (empty, [], "the text is empty"),
        (corpus, ["--label_column", "ward"], "ward"),
        (corpus, ["--models", f"{base}"], "NAME=PATH"),
        (corpus, ["--models", f"a={tmp_path / 'nowhere'}"], "nowhere"),
        (corpus, ["--freeze", "most"], "--freeze most is no depth"),
        (corpus, ["--models", f"a={base}", "--methods", "fine_tuned", "--freeze", 7], "2 layers"),
        (corpus, ["--output_dir", tmp_path / "foreign"], "not of a study"),
        (corpus, ["--no_baselines"], "nothing to compare"),
    ]:
        with pytest.raises(InputError) as error:
            study(data, tmp_path / "out", *options)
        assert message in str(error.value) and "\n" not in str(error.value), str(error.value)
        assert not (tmp_path / "out" / "results.json").exists()


def test_more_shots_than_documents_and_a_rare_class_are_said(base, tmp_path, capsys, no_figures):
    lines = [
        {**line, "specialty": "rare" if number in (1, 2) else line["specialty"]} for number, line in enumerate(rows())
    ]
    study(write(tmp_path / "notes.jsonl", lines), tmp_path / "out", "--shots", 500)
    said = capsys.readouterr().err
    assert "1 classes with fewer than 5 training documents are left out" in said
    assert "3 of 3 classes have fewer than 500 training documents" in said


def test_the_untouched_model_is_always_in_the_table(base, corpus, tmp_path, capsys, no_figures):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, before in ((first, base), (second, first)):
        shutil.copytree(base, folder)
        (folder / "run_settings.json").write_text(json.dumps({"model_name_or_path": str(before)}))
        (folder / "made_up.json").write_text(json.dumps(folder.name))  # other files, another digest
    options = ["--seeds", 1, "--shots", 0, "--methods", "knn"]

    def models(name, *given):
        study(corpus, tmp_path / name, "--models", *given, *options)
        return {cell["model"] for cell in results(tmp_path / name)["cells"]} - {None}

    assert models("one", f"adapted={second}") == {"adapted", "untouched"}
    assert models("named", f"adapted={second}", f"base={base}") == {"adapted", "base"}
    assert models("twice", f"a={second}", f"b={first}") == {"a", "b", "untouched"}
    capsys.readouterr()
    (second / "run_settings.json").write_text(json.dumps({"model_name_or_path": str(tmp_path / "moved")}))
    assert models("moved", f"adapted={second}") == {"adapted"}
    assert "the model that 'adapted' was adapted from is not among --models" in capsys.readouterr().err
    (second / "run_settings.json").write_text(json.dumps({"model_name_or_path": None}))
    assert models("scratch", f"adapted={second}") == {"adapted"} and "warning" not in capsys.readouterr().err
