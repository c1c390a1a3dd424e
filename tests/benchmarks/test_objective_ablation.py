"""The ablation of objectives: what each arm trains, what is not computed twice, and the numbers of its table."""

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

import pretrain
from metrics.intervals import ResampledScores

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WORDS = {"cardiology": "chest pain echo", "skin": "rash cough fever"}


@pytest.fixture
def ablation(monkeypatch, tmp_path):
    """The module, whose scripts run in this process; `ablation.called` names them, `ablation.fails` one to fail."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("reporting.classification_report._write_figures", lambda *_: None)
    module = import_module("objective_ablation")
    words_of = import_module("project_scripts").command_words
    called = []

    def script(name, *words, log=None, **options):
        called.append((name, Path(options["output_dir"]).relative_to(tmp_path / "out" / "runs").as_posix()))
        if called[-1] == namespace.fails:
            raise SystemExit(1)
        import_module(name).main(words_of(*words, **options))
        return 123.4

    namespace = SimpleNamespace(module=module, called=called, fails=None)
    monkeypatch.setattr(module, "script", script)
    return namespace


@pytest.fixture
def words(make_model, tmp_path):
    """The command line of an ablation on a prepared corpus of two specialties."""
    model, tokenizer = make_model("bert")
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    random = np.random.default_rng(0)
    filler = "the patient was admitted with no review in home follow up".split()
    parts = {}
    for split, count in (("train", 60), ("test", 30)):
        labels = [list(WORDS)[number % 2] for number in range(count)]
        parts[split] = Dataset.from_dict(
            {
                "text": [
                    " ".join([*random.choice(WORDS[label].split(), 6), *random.choice(filler, 30)]) for label in labels
                ],
                "document_id": [f"{split}-{number}" for number in range(count)],
                "patient_id": [f"{split}-{number}" for number in range(count)],
                "specialty": labels,
                "ward": [f"ward {number % 3}" for number in range(count)],
            }
        )
    DatasetDict(parts).save_to_disk(str(tmp_path / "corpus"))
    report = {"documents_read": 90, "documents_kept": 90, "dropped": {}, "cleaned": {}}
    report["near_duplicates"] = {"documents": 0}
    (tmp_path / "corpus" / "preparation.json").write_text(json.dumps(report))
    line = ["--corpus", tmp_path / "corpus", "--model", tmp_path / "base", "--label_columns", "specialty"]
    line += ["--output_dir", tmp_path / "out", "--train_tokens", 900, "--batch_size", 8, "--max_span_length", 24]
    line += ["--seeds", 1, "--samples", 2, "--shots", 2, 0, "--memory", 64, "--learning_rate", 0.01]
    return [*map(str, line), "--max_documents", "70"]


def scores(folder, arm):
    """Macro-F1 by number of labels, of the arm's only seed."""
    cells = json.loads((folder / "out" / "runs" / arm / "0" / "specialty" / "results.json").read_text())["cells"]
    found = {}
    for cell in cells:
        if cell["model"] == arm:
            found.setdefault(cell["shots"], []).append(cell["metrics"]["f1_macro"])
    assert len(found[2]) == 2 and len(found[None]) == 1
    return {shots: np.mean(values) for shots, values in found.items()}


def test_an_interrupted_ablation_goes_on_and_its_table_says_what_the_scores_are(ablation, words, tmp_path, capsys):
    run = ablation.module.main
    ablation.fails = ("classify", "default/0/specialty")
    with pytest.raises(SystemExit):
        run([*words, "--arms", "default"])
    ablation.fails = None
    run([*words, "--arms", "untouched", "default", "cross_batch_memory"])
    assert ablation.called == [
        ("pretrain", "default/0/model"),
        ("classify", "default/0/specialty"),
        ("classify", "untouched/0/specialty"),
        ("classify", "default/0/specialty"),  # its training was not lost
        ("pretrain", "cross_batch_memory/0/model"),
        ("classify", "cross_batch_memory/0/specialty"),
    ]
    table = (tmp_path / "out" / "table.md").read_text()
    capsys.readouterr()
    run([*words, "--arms", "untouched", "default", "cross_batch_memory"])
    assert len(ablation.called) == 6 and (tmp_path / "out" / "table.md").read_text() == table
    assert capsys.readouterr().out.strip() == table.strip()

    lines = {line.split(" |")[0][2:]: [cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()}
    assert lines["Arm"][1:5] == ["2 a class", "less default", "all", "less default"]
    assert {"TF-IDF", "majority class", "untouched", "default", "cross batch memory"} < lines.keys()
    default = scores(tmp_path, "default")
    for arm in ("untouched", "default", "cross_batch_memory"):
        line, found = lines[arm.replace("_", " ")], scores(tmp_path, arm)
        for place, shots in ((1, 2), (3, None)):
            assert line[place] == f"{found[shots]:.3f}"
            if arm == "default":
                assert line[place + 1] == "-"
            else:
                assert line[place + 1].startswith(f"{found[shots] - default[shots]:+.3f} [")
    assert lines["untouched"][5:] == ["-"] * 4 and lines["default"][5] == "1" and lines["default"][8] == "123"
    # The arm with a memory has learnt something else than the default one, and no weights are left.
    facts = json.loads((tmp_path / "out" / "runs" / "default" / "0" / "training.json").read_text())
    assert facts["steps"] > 1 and not list((tmp_path / "out").rglob("*.safetensors"))
    cells = (tmp_path / "out" / "runs").glob("*/0/specialty/cells/*-logistic_regression-windows-all-all-0.npz")
    said = {file.parts[-5]: np.load(file)["probabilities"] for file in cells}
    assert not np.array_equal(said["default"], said["cross_batch_memory"])
    assert not np.array_equal(said["default"], said["untouched"])
    with pytest.raises(SystemExit):
        run([*words[:-1], "80"])
    assert "other settings (max_documents)" in capsys.readouterr().err


def test_every_arm_is_one_that_pretraining_knows(ablation, words, tmp_path):
    options, _ = ablation.module.parse([*words, "--category_column", "ward"])
    assert options.arms == ["untouched", *ablation.module.ARMS]
    trained = {}
    common = {**ablation.module.COMMON, **ablation.module.QUIET, "use_cpu": "true", "model_name_or_path": "base"}
    for name in ablation.module.ARMS:
        arm = ablation.module.arm_options(name, options)
        line = import_module("project_scripts").command_words(
            train_file="notes", output_dir=tmp_path / "run", **common, **arm
        )
        settings = pretrain.parse_options(line).training.to_dict()
        trained[name] = {key: value for key, value in settings.items() if key not in ("logging_dir", "run_name")}
    changed = {
        name: {key for key in settings if settings[key] != trained["default"][key]}
        for name, settings in trained.items()
    }
    metadata = {"category_columns", "category_weight"}
    assert changed == {
        "default": set(),
        "temperature_up": {"final_temperature"},
        "temperature_down": {"final_temperature"},
        "same_document_ignore": {"same_document"},
        "same_document_positive": {"same_document"},
        "one_category_batches": {"one_category_batches", *metadata},
        "balanced_categories": {"category_balance", *metadata},
        "double_batch": {"contrastive_mini_batch_tokens", "per_device_train_batch_size"},
        "decoupled": {"decoupled"},
        "cross_batch_memory": {"cross_batch_memory"},
        "no_mlm": {"mlm_weight"},
    }
    assert trained["double_batch"]["per_device_train_batch_size"] == 16
    # Without metadata there are no arms that need it.
    assert not {"one_category_batches", "balanced_categories"} & set(ablation.module.parse(words)[0].arms)
    with pytest.raises(SystemExit):
        ablation.module.parse([*words, "--arms", "balanced_categories"])


def test_samples_of_one_training_count_as_one_seed(ablation):
    def row(seeds, observed):
        observed = np.array(observed)
        return SimpleNamespace(seeds=seeds, scores=ResampledScores(observed, observed[:, None] + np.array([0.0, 0.1])))

    # Two samples a training; the second row has no third training.
    first, second = ablation.module._paired(
        row((0, 1, 2, 3, 4, 5), [0.1, 0.3, 0.5, 0.7, 0.8, 0.8]), row((0, 1, 2, 3), [0.0, 0.2, 0.4, 0.8]), 2
    )
    assert first.observed.tolist() == pytest.approx([0.2, 0.6]) and second.observed.tolist() == pytest.approx(
        [0.1, 0.6]
    )
    np.testing.assert_allclose(first.resampled, [[0.2, 0.3], [0.6, 0.7]])


def test_a_failing_script_is_named_with_its_log(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    scripts = import_module("project_scripts")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "one.py").write_text("import sys\nprint(sys.argv[1:])\nsys.exit(len(sys.argv) - 4)\n")
    monkeypatch.setattr(scripts, "ROOT", tmp_path)
    assert scripts.script("one", "a", size=3, log=tmp_path / "log.txt") > 1
    with pytest.raises(SystemExit, match=r"one.py ended with status 1; see .*log.txt"):
        scripts.script("one", "a", sizes=[3, 4], log=tmp_path / "log.txt")
    assert (tmp_path / "log.txt").read_text() == "['a', '--size', '3']\n['a', '--sizes', '3', '4']\n"
