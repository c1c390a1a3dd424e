"""Recipes of studies and the steps that they become."""

import json
from pathlib import Path

import pytest
import yaml

import sweep_spans
from corpora.columns import PRESETS
from corpora.errors import InputError
from study_options import check_options
from study_plan import manifest, plan, step_digests
from study_recipe import read_study
from study_runner import StudyFolder, chosen_steps, with_dependents, with_needs
from study_time import TimeTable

ROOT = Path(__file__).resolve().parents[2]
RECIPE = {
    "token_budget": 1000,
    "corpora": {"wards": {"demo": {"patients": 12}, "labels": ["specialty"]}},
    "base": {"train": {"objective": "mlm", "config_name": "bert", "train_tokenizer": True}},
    "adapt": {
        "all": {"learning_rate": 0.001},
        "mlm": {"objective": "mlm"},
        "both": [{"objective": "mlm"}, {"objective": "declutr", "learning_rate": 0.002}],
    },
    "classify": {"all": {"seeds": 2}, "frozen": {"shots": [0]}, "trained": {"methods": ["fine_tuned"], "seeds": 1}},
    "space": {},
    "audit": {},
    "card": {"license": "mit"},
}


@pytest.fixture
def study(tmp_path):
    """Return a function that reads the recipe with some keys changed; None removes a key."""

    def make(changes=None, inputs=None, base=None):
        recipe = {key: value for key, value in {**RECIPE, **(changes or {})}.items() if value is not None}
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
        return read_study(tmp_path / "study.yaml", inputs or {}, base)

    return make


def steps_of(study, output):
    return {step.name: step for step in plan(study, output)}


def test_steps_stand_after_those_they_need_and_share_the_budget(study, tmp_path):
    steps = steps_of(study(), tmp_path / "out")
    assert list(steps) == [
        *("notes/wards", "corpus/wards", "base", "adapt/wards/mlm", "adapt/wards/both/1", "adapt/wards/both"),
        *("classify/wards/specialty/frozen", "classify/wards/specialty/trained", "space/wards/specialty"),
        *("audit/wards/mlm", "audit/wards/both", "card/wards/mlm", "card/wards/both", "report"),
    ]
    seen = set()
    for name, step in steps.items():
        assert set(step.needs) <= seen
        seen.add(name)
    both, first = steps["adapt/wards/both"], steps["adapt/wards/both/1"]
    assert [steps["adapt/wards/mlm"].options["train_tokens"], both.options["train_tokens"]] == [1000, 500]
    assert both.options["model_name_or_path"] == str(first.folder) == str(tmp_path / "out/models/wards/both-1")
    assert (
        first.options["model_name_or_path"] == str(steps["base"].folder) and "train_tokens" not in steps["base"].options
    )
    assert [first.options["learning_rate"], both.options["learning_rate"]] == [0.001, 0.002]
    trained = steps["classify/wards/specialty/trained"].options
    assert trained["seeds"] == 1 and steps["classify/wards/specialty/frozen"].options["seeds"] == 2
    assert [entry.partition("=")[0] for entry in trained["models"]] == ["base", "mlm", "both"]
    named = {
        entry["name"]: entry["objective"]
        for entry in manifest(study(), list(steps.values()), tmp_path / "out")["steps"]
    }
    assert named["adapt/wards/both"] == "declutr" and named["adapt/wards/both/1"] == "mlm" and named["report"] is None


def test_a_crossed_study_evaluates_models_where_they_were_not_adapted(study, tmp_path):
    corpora = {"a": {"demo": {}, "labels": ["x"]}, "b": {"demo": {}, "labels": ["x"]}}
    models = steps_of(study({"corpora": corpora, "cross": True}), tmp_path)["classify/b/x/frozen"].options["models"]
    assert [entry.partition("=")[0] for entry in models] == ["base", "mlm", "both", "mlm@a", "both@a"]
    assert models[3].endswith("models/a/mlm")
    corpora["b"]["adapt"] = False
    steps = steps_of(study({"corpora": corpora}), tmp_path)
    assert not any(name.startswith(("adapt/b", "audit/b", "card/b")) for name in steps)
    models = steps["classify/b/x/frozen"].options["models"]
    assert [entry.partition("=")[0] for entry in models] == ["base", "mlm", "both"]
    assert steps["base"].options["train_file"] == [str(tmp_path / "corpora/a")]


def test_an_evaluation_may_be_of_some_models_and_some_labels(study, tmp_path):
    corpora = {"a": {"demo": {}, "labels": ["x", "y"]}, "b": {"demo": {}, "labels": ["y", "z"]}}
    classify = {"frozen": {"shots": [0], "labels": ["x", "y"]}, "trained": {"models": ["both"], "labels": ["y"]}}
    classify["trained"]["methods"] = ["fine_tuned"]
    changes = {"corpora": corpora, "classify": classify, "correlate": {}, "cross": True}
    steps = steps_of(study(changes), tmp_path)
    named = [name for name in steps if name.startswith("classify/")]
    assert named == [
        "classify/a/x/frozen",
        "classify/a/y/frozen",
        "classify/a/y/trained",
        *map("classify/b/y/".__add__, ("frozen", "trained")),
    ]
    trained = steps["classify/b/y/trained"]
    assert [entry.partition("=")[0] for entry in trained.options["models"]] == ["base", "both", "both@a"]
    assert "labels" not in trained.options and "adapt/a/mlm" not in trained.needs and "adapt/a/both" in trained.needs
    # The first label fills the cache of embeddings; fine-tuning has none.
    afters = {name: step.after for name, step in steps.items() if step.after}
    assert afters == {
        "classify/a/y/frozen": ("classify/a/x/frozen",),
        "space/a/y": ("space/a/x",),
        "space/b/z": ("space/b/y",),
    }
    used = steps["correlate"].needs
    assert "classify/b/y/frozen" in used and not any("/z" in need or "trained" in need for need in used)
    assert (
        "classify/a/y/trained" in steps["card/a/mlm"].needs and "classify/a/x/trained" not in steps["card/a/mlm"].needs
    )
    for key, words in (("models", ["boht"]), ("labels", ["w"])):
        with pytest.raises(
            InputError, match=f"classify.frozen names the {key[:-1]} '{words[0]}', which the study has not"
        ):
            study({"classify": {"frozen": {key: words}}})


def test_a_base_may_be_trained_on_corpora_that_serve_nothing_else(study, tmp_path):
    corpora = {**RECIPE["corpora"], "others": {"demo": {"patients": 9}, "adapt": False}}
    base = {"train": RECIPE["base"]["train"], "corpora": ["wards", "others"]}
    steps = steps_of(study({"corpora": corpora, "base": base}), tmp_path)
    folders = [str(tmp_path / "corpora" / name) for name in ("wards", "others")]
    assert steps["base"].options["train_file"] == folders and "corpus/others" in steps["base"].needs
    assert not [name for name in steps if "others" in name and not name.startswith(("notes/", "corpus/"))]
    # Without being asked it is trained on what is adapted on.
    alone = steps_of(study({"corpora": corpora}), tmp_path)["base"]
    assert alone.options["train_file"] == folders[:1]
    with pytest.raises(InputError, match=r"base\.corpora names 'wars', which is no corpus"):
        study({"base": {**base, "corpora": ["wars"]}})
    with pytest.raises(InputError, match=r"base\.corpora says what a base is trained on, and none is"):
        study({"base": {"checkpoint": "somewhere", "corpora": ["wards"]}})


def test_digests_follow_options_and_needs_but_not_the_place(study, tmp_path):
    def digests(changes, output):
        return step_digests(plan(study(changes), output), output)

    here = digests({}, tmp_path / "here")
    assert here == digests({}, tmp_path / "there")
    other = digests(
        {"adapt": {"mlm": {"objective": "mlm", "max_length": 64}, "both": RECIPE["adapt"]["both"]}}, tmp_path
    )
    assert other["base"] == here["base"] and other["adapt/wards/mlm"] != here["adapt/wards/mlm"]
    assert other["audit/wards/mlm"] != here["audit/wards/mlm"]


def test_steps_are_chosen_with_what_they_need_or_what_needs_them(study, tmp_path):
    steps = plan(study(), tmp_path)
    (audit,) = chosen_steps(steps, ["audit/*/mlm"], "--only")
    assert [step.name for step in with_needs([audit], steps)] == [
        *("notes/wards", "corpus/wards", "base", "adapt/wards/mlm", "audit/wards/mlm")
    ]
    found = with_dependents(chosen_steps(steps, ["adapt/wards/both"], "--redo"), steps)
    # The name of a model stands for its stages, too.
    assert "adapt/wards/both/1" in [step.name for step in found] and "report" in [step.name for step in found]
    assert "audit/wards/mlm" not in [step.name for step in found]
    with pytest.raises(InputError, match="--only evaluate is no step"):
        chosen_steps(steps, ["evaluate"], "--only")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"adept": {}}, "unknown key 'adept'; the nearest is 'adapt'"),
        ({"corpora": {}}, "has no corpus"),
        ({"corpora": {"w": {"labels": ["x"]}}}, "corpora.w needs its notes from one place"),
        ({"corpora": {"w": {"demo": {}, "lables": []}}}, "unknown key 'corpora.w.lables'"),
        ({"corpora": {"w": {"demo": {}, "labels": "x"}}}, "corpora.w.labels is not a list"),
        ({"corpora": {"w": {"demo": {}, "adapt": False}}}, "no corpus of the study is adapted on"),
        ({"corpora": {"../w": {"demo": {}}}}, "cannot be a name"),
        ({"base": None}, "needs one base model"),
        ({"token_budget": 0}, "token_budget is not a whole number of at least 1"),
        ({"cross": "yes"}, "cross is neither true nor false"),
        ({"adapt": {"mlm": 3}}, "adapt.mlm is not a mapping"),
        ({"tag": {"t": {"models": ["none"]}}}, "tag.t names the model 'none'"),
    ],
)
def test_faults_of_a_recipe_are_named(study, changes, message):
    with pytest.raises(InputError) as error:
        study(changes)
    assert message in str(error.value) and "study.yaml" in str(error.value) and "\n" not in str(error.value)


def test_inputs_must_be_of_a_corpus_and_there(study, tmp_path):
    with pytest.raises(InputError, match="names 'clinic', which is no corpus and no annotated text"):
        study(inputs={"clinic": ["notes.csv"]})
    corpora = {"wards": {"labels": ["specialty"]}}
    steps = plan(study({"corpora": corpora}, {"wards": [str(tmp_path / "notes.csv")]}), tmp_path / "out")
    with pytest.raises(InputError, match=r"notes\.csv: the file is missing"):
        check_options(steps, tmp_path / "out", "study.yaml")
    with pytest.raises(InputError, match="nowhere"):
        check_options(plan(study(base=str(tmp_path / "nowhere")), tmp_path), tmp_path, "study.yaml")


def test_annotated_text_comes_by_inputs_and_is_looked_for(study, tmp_path):
    task = {"tag": {"drugs": {"models": ["base", "mlm"], "options": {"epochs": 1}}}}
    with pytest.raises(InputError, match=r"tag\.drugs needs its annotated text from one place.*--inputs drugs=FILE"):
        study(task)
    with pytest.raises(InputError, match=r"names 'drugs\.dev'.*it has wards, drugs, drugs\.validation, drugs\.test"):
        study(task, {"drugs": ["a.conll"], "drugs.dev": ["b.conll"]})
    files = [tmp_path / "a.conll", tmp_path / "b.conll"]
    files[0].write_text("aspirin B-Drug\n\n")
    steps = steps_of(study(task, {"drugs": [str(files[0])], "drugs.test": [str(files[1])]}), tmp_path / "out")
    for name in ("base", "mlm"):
        options = steps[f"tag/drugs/{name}"].options
        assert [options["train_file"], options["test_file"]] == [[str(file)] for file in files]
        assert "validation_file" not in options and options["epochs"] == 1
    with pytest.raises(InputError, match=r"b\.conll"):
        check_options(list(steps.values()), tmp_path / "out", "study.yaml")
    files[1].write_text("aspirin B-Drug\n\n")
    check_options(list(steps.values()), tmp_path / "out", "study.yaml")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"classify": {"frozen": {"shot": [8]}}}, "step classify/wards/specialty/frozen: unknown key 'shot'"),
        ({"classify": {"frozen": {"seeds": 0}}}, "step classify/wards/specialty/frozen: --seeds is below 1"),
        ({"adapt": {"mlm": {"objective": "mlm", "mlm_probabilty": 0.2}}}, "nearest is 'mlm_probability'"),
        ({"adapt": {"mlm": {"objective": "nothing"}}}, "step adapt/wards/mlm: 'objective' is not one of"),
        ({"space": {"neighbours": "many"}}, "step space/wards/specialty: key 'neighbours'"),
        ({"card": {"licence": "mit"}}, "step card/wards/mlm: unknown key 'licence'; the nearest is 'license'"),
    ],
)
def test_options_are_checked_before_the_first_step(study, tmp_path, changes, message):
    with pytest.raises(InputError) as error:
        check_options(plan(study(changes), tmp_path), tmp_path, tmp_path / "study.yaml")
    assert message in str(error.value) and "study.yaml" in str(error.value)


def test_times_are_known_of_corpora_prepared_before_and_of_later_stages(study, make_encoder, tmp_path, monkeypatch):
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    words = {"documents_kept": 50, "splits": {"train": {"words": 8000}, "test": {"words": 2000}}}
    (prepared / "preparation.json").write_text(json.dumps(words))
    steps = plan(
        study(
            {"base": None, "corpora": {"wards": {"labels": ["specialty", "team"]}}},
            {"wards": [str(prepared)]},
            str(make_encoder("bert")),
        ),
        tmp_path / "out",
    )
    table = TimeTable(StudyFolder(tmp_path / "out", steps), steps)
    monkeypatch.setattr(table, "rate", lambda: 1.0)
    seconds = {step.name: table.estimate(step) for step in steps}
    # The two stages share the tokens of one adaptation, and both have the shape of the base.
    both = [seconds[name] - 10 for name in ("adapt/wards/both/1", "adapt/wards/both")]
    assert both[0] == both[1] and sum(both) == seconds["adapt/wards/mlm"] - 10
    # Embedded once by three models: 1.4 tokens a word, two operations a weight.
    config = json.loads((Path(study_base(steps)) / "config.json").read_text())
    weights = 12 * config["num_hidden_layers"] * config["hidden_size"] ** 2
    assert seconds["classify/wards/specialty/frozen"] - 70 == pytest.approx(3 * 14_000 * 2 * weights)
    # The test documents, and their halves. The second label finds all embeddings there.
    assert seconds["space/wards/specialty"] - 70 == pytest.approx(3 * 0.6 * 14_000 * 2 * weights)
    assert seconds["classify/wards/team/frozen"] == seconds["space/wards/team"] == 70


def test_the_time_of_a_sample_is_its_share(study, make_encoder, tmp_path, monkeypatch):
    (tmp_path / "notes.jsonl").write_text("x" * 100_000)

    def seconds(prepare):
        corpora = {"wards": {"labels": ["specialty"], "prepare": prepare}}
        made = study({"base": None, "corpora": corpora}, {"wards": [str(tmp_path / "notes.jsonl")]}, str(encoder))
        table = TimeTable(StudyFolder(tmp_path / "out", steps := plan(made, tmp_path / "out")), steps)
        monkeypatch.setattr(table, "rate", lambda: 1.0)
        return next(table.estimate(step) for step in steps if step.name == "classify/wards/specialty/frozen") - 70

    encoder = make_encoder("bert")
    assert seconds({"sample_share": 0.25}) == pytest.approx(seconds({}) / 4)


@pytest.mark.parametrize(
    ("readings", "tokens"),
    [(["windows", "attention"], 14_000), (["head"], 50 * 64), (["windows", "head", "head_tail"], 14_000 + 2 * 50 * 64)],
)
def test_the_time_of_a_reading_is_that_of_its_tokens(study, make_encoder, tmp_path, monkeypatch, readings, tokens):
    words = {"documents_kept": 50, "splits": {"train": {"words": 8000}, "test": {"words": 2000}}}
    (tmp_path / "preparation.json").write_text(json.dumps(words))
    probe = {"methods": ["logistic_regression"], "readings": readings, "window_length": 64}
    changed = {"base": None, "corpora": {"wards": {"labels": ["team"]}}, "classify": {"frozen": probe}}
    encoder = make_encoder("bert")
    steps = plan(study(changed, {"wards": [str(tmp_path)]}, str(encoder)), tmp_path / "out")
    table = TimeTable(StudyFolder(tmp_path / "out", steps), steps)
    monkeypatch.setattr(table, "rate", lambda: 1.0)
    seconds = next(table.estimate(step) for step in steps if step.name == "classify/wards/team/frozen")
    config = json.loads((encoder / "config.json").read_text())
    assert seconds - 70 == pytest.approx(3 * tokens * 2 * 12 * config["num_hidden_layers"] * config["hidden_size"] ** 2)


def test_a_card_made_anew_keeps_what_a_person_wrote(study, tmp_path):
    steps = plan(study(), tmp_path / "out")
    folder = StudyFolder(tmp_path / "out", steps)
    card = next(step for step in steps if step.name == "card/wards/mlm")
    card.folder.parent.mkdir(parents=True)
    card.folder.write_text("words of a person between the keep marks")
    folder.forget(card)
    assert card.folder.is_file()


def study_base(steps):
    return next(step.options["model_name_or_path"] for step in steps if step.name == "adapt/wards/mlm")


@pytest.mark.parametrize("name", sorted(file.stem for file in (ROOT / "recipes").glob("study_*.yaml")))
def test_every_recipe_of_a_study_is_one(name, make_encoder, tmp_path):
    recipe = yaml.safe_load((ROOT / "recipes" / f"{name}.yaml").read_text())
    inputs = {}
    for corpus, entry in recipe["corpora"].items():
        if "demo" not in entry:
            file = tmp_path / f"{corpus}.jsonl"
            # Columns are looked for before the first step.
            named = [value for key, value in entry.get("prepare", {}).items() if key.endswith(("_column", "_columns"))]
            names = {"text", *entry.get("labels", []), *filter(None, vars(PRESETS["mimic3"]).values())}
            for value in named:
                names.update([value] if isinstance(value, str) else value)
            file.write_text(json.dumps(dict.fromkeys(names, "well")) + "\n")
            inputs[corpus] = [str(file)]
    for task, entry in recipe.get("tag", {}).items():
        if "demo" not in entry:
            inputs[task] = [str(tmp_path / f"{task}.conll")]
            (tmp_path / f"{task}.conll").write_text("aspirin B-Drug\n\n")
    base = None if "train" in recipe.get("base", {}) else str(make_encoder("bert"))
    study = read_study(ROOT / "recipes" / f"{name}.yaml", inputs, base)
    steps = plan(study, tmp_path / "out")
    for step in steps:
        step.options.pop("bf16", None)  # which a machine without a GPU refuses
    check_options(steps, tmp_path / "out", name)
    assert steps[-1].name == "report" and len(steps) > 8


def test_columns_are_looked_for_before_the_first_step(study, make_encoder, tmp_path):
    notes = tmp_path / "letters.csv"
    notes.write_text("letter,nhs_no,clinic\nwell,1,eyes\n")
    corpora = {"wards": {"prepare": {"text_column": "letter", "patient_column": "nhs"}, "labels": ["clinic"]}}
    changes, base = {"base": None, "corpora": corpora}, str(make_encoder("bert"))

    def check():
        check_options(plan(study(changes, {"wards": [str(notes)]}, base), tmp_path / "out"), tmp_path / "out", "s.yaml")

    with pytest.raises(InputError) as error:
        check()
    for words in ("letters.csv, column 'nhs'", "did you mean", "nhs_no", "recipe is corpora.wards.prepare"):
        assert words in str(error.value)
    corpora["wards"]["prepare"]["patient_column"] = "nhs_no"
    check()
    corpora["wards"]["labels"] = ["ward"]
    with pytest.raises(InputError, match="column 'ward'"):
        check()


def test_an_audit_has_no_reference_that_was_trained_on_the_notes(study, make_encoder, tmp_path):
    def reference(**options):
        return steps_of(study(**options), tmp_path / "out")["audit/wards/mlm"].options["reference"]

    assert reference() is None  # the study trains the base
    given = make_encoder("bert")
    assert reference(changes={"base": None}, base=str(given)) == str(given)
    (given / "training_summary.json").write_text("{}")
    assert reference(changes={"base": None}, base=str(given)) is None
    assert reference(changes={"base": None, "audit": {"reference": "other"}}, base=str(given)) == "other"


def test_a_sweep_is_a_grid_of_adaptations(study, tmp_path):
    grid = {"max_length": [16, 32], "mlm_probability": [0.15], "seed": [0, 1]}
    sweep = {"rows": {"options": {"objective": "mlm", "seed": 5}, "grid": grid}}
    read = study({"sweep": sweep, "adapt": None})
    steps = steps_of(read, tmp_path)
    names = [name for name in steps if name.startswith("adapt/")]
    assert names == [f"adapt/wards/rows.{length}.0.15.{seed}" for length in (16, 32) for seed in (0, 1)]
    assert steps[names[-1]].section == "sweep.rows"
    options = steps[names[-1]].options
    assert [options["max_length"], options["seed"], options["train_tokens"]] == [32, 1, 1000]
    # They are classified with, and that is all.
    assert len(steps["classify/wards/specialty/frozen"].options["models"]) == 5
    assert len(steps["space/wards/specialty"].options["spaces"]) == 1
    assert not any(name.startswith(("audit", "card")) for name in steps)
    sweeps = manifest(read, list(steps.values()), tmp_path)["sweeps"]
    assert sweeps["rows.32.0.15.1"] == {
        "sweep": "rows",
        "values": {"max_length": 32, "mlm_probability": 0.15, "seed": 1},
    }
    with pytest.raises(InputError, match=r"sweep\.rows\.grid\.seed is not a list"):
        study({"sweep": {"rows": {"grid": {"seed": 3}}}})


def test_the_sweep_over_spans_is_a_valid_study(make_encoder, tmp_path, capsys):
    (tmp_path / "notes.jsonl").write_text('{"letter": "well", "ward": "a"}\n')
    words = ["--notes", str(tmp_path / "notes.jsonl"), "--label_columns", "ward", "--base", str(make_encoder("bert"))]
    words += ["--output_dir", str(tmp_path / "out"), "--max_span_length", "24", "--training_seeds", "2", "--dry_run"]
    with pytest.raises(InputError, match="column 'text': the column is missing"):
        sweep_spans.main(words)
    words += ["--text_column", "letter", "--sample_share", "0.5", "--jobs", "2"]
    assert sweep_spans.main(words) == 0
    printed = capsys.readouterr().out
    assert printed.count("adapt/notes/spans.") == 2 * 2 * 3 * 2
    assert "adapt/notes/spans.1.2.16.24.overlapping+disjoint.0.05.0.0.1" in printed
    written = yaml.safe_load((tmp_path / "out/sweep.yaml").read_text())
    assert written["corpora"]["notes"]["prepare"]["sample_share"] == 0.5
    assert "readings" not in written["classify"]["frozen"]
    assert sweep_spans.main([*words, "--reading", "head"]) == 0
    assert yaml.safe_load((tmp_path / "out/sweep.yaml").read_text())["classify"]["frozen"]["readings"] == ["head"]
    with pytest.raises(InputError, match="--jobs is below 1"):
        sweep_spans.main([*words, "--jobs", "0"])
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/mine.txt").write_text("keep")
    with pytest.raises(InputError, match="thesis: the output folder holds files that are not of a study"):
        sweep_spans.main([*words, "--output_dir", str(tmp_path / "thesis")])
    assert [file.name for file in (tmp_path / "thesis").iterdir()] == ["mine.txt"]
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared/preparation.json").write_text("{}")
    with pytest.raises(InputError, match="a sample is drawn when notes are prepared"):
        sweep_spans.main(["--notes", str(tmp_path / "prepared"), *words[2:]])
