"""pretrain.py as a user runs it: recipes, what comes out, and one clear line for each fault."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import pretrain
from corpora.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.usefixtures("caches")


def options(*arguments):
    return list(map(str, arguments))


SMALL = options(
    "--use_cpu", "--disable_tqdm", "--max_steps", 2, "--per_device_train_batch_size", 4, "--save_strategy", "no"
)
SPANS = options("--min_span_length", 4, "--max_span_length", 24)


def test_recipes_are_complete_and_only_name_known_options():
    # Those of prepare_notes.py have no objective; test_make_mimic_triage.py runs them.
    recipes = {path: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "recipes").glob("*.yaml"))}
    recipes = {path: keys for path, keys in recipes.items() if "objective" in keys}
    assert {"mlm_roberta_base", "declutr_roberta_base", "demo_mlm", "demo_declutr"} <= {path.stem for path in recipes}
    for path, keys in recipes.items():
        base = [] if {"model_name_or_path", "config_name"} & keys.keys() else ["--model_name_or_path", "base"]
        parsed = pretrain.parse_options([str(path), "--train_file", "notes", "--output_dir", "out", *base])
        assert parsed.objective.objective == keys["objective"]


def test_the_declutr_recipe_holds_the_published_settings():
    training = pretrain.parse_options(
        [str(ROOT / "recipes" / "declutr_roberta_base.yaml"), "--train_file", "notes"]
    ).training
    spans = training.span_options()
    assert (spans.num_anchors, spans.num_positives, spans.min_length, spans.max_length) == (2, 2, 8, 256)
    assert (training.temperature, training.learning_rate, training.num_train_epochs) == (0.05, 5e-5, 3)


def test_the_note_category_recipe_holds_the_published_settings():
    training = pretrain.parse_options(
        [str(ROOT / "recipes" / "note_category_roberta_base.yaml"), "--train_file", "notes"]
    ).training
    assert (training.category_weight, training.learning_rate, training.max_length) == (0.1, 2e-5, 512)
    assert (training.category_head, training.category_view, training.document_window) == ("linear", "masked", "first")


@pytest.mark.parametrize(
    "recipe", ["mlm_roberta_base", "declutr_roberta_base", "note_category_roberta_base", "declutr_note_category"]
)
def test_paper_recipes_run(recipe, base, notes_file, tmp_path):
    arguments = [ROOT / "recipes" / f"{recipe}.yaml", "--model_name_or_path", base, "--train_file", notes_file]
    arguments += ["--validation_file", notes_file, "--output_dir", tmp_path / "out", *SMALL, "--eval_steps", 1]
    arguments += ["--load_best_model_at_end", "false"]
    arguments += SPANS if "declutr" in recipe else ["--max_length", 32]
    # Training notes as validation notes: the same patients on both sides.
    with pytest.raises(InputError, match="patient"):
        pretrain.main(options(*arguments))
    rows = [json.loads(line) for line in notes_file.read_text().splitlines()]
    for row in rows:
        row["patient_id"] += "x"
        row["document_id"] += "x"
    (tmp_path / "validation.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    arguments[arguments.index("--validation_file") + 1] = tmp_path / "validation.jsonl"
    assert pretrain.main(options(*arguments)) == 0
    summary = json.loads((tmp_path / "out" / "training_summary.json").read_text())
    assert summary["steps"] == 2 and summary["metrics"]["eval_loss"] > 0


def test_from_scratch_with_a_trained_tokenizer_and_again(notes_file, tmp_path, capsys):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    arguments = ["--objective", "declutr", "--config_name", "roberta", "--train_tokenizer", "--vocab_size", 320]
    arguments += ["--hidden_size", 16, "--num_hidden_layers", 1, "--num_attention_heads", 2, "--window", 40]
    arguments += ["--train_file", notes_file, "--output_dir", tmp_path / "out", *SMALL, *SPANS]
    assert pretrain.main(options(*arguments)) == 0
    printed = capsys.readouterr().out
    assert "40 of 40 documents are long enough for spans (100.0%; the original sampler would keep" in printed
    assert "Nursing                             26 of        26  100.0%" in printed
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert model.config.vocab_size == len(tokenizer) <= 320
    assert tokenizer.model_max_length == 40
    before = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    assert pretrain.main(options(*arguments)) == 0
    assert "is finished already" in capsys.readouterr().out
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="holds a run with other settings \\(learning_rate\\)"):
        pretrain.main(options(*arguments, "--learning_rate", 1e-3))
    assert pretrain.main(options(*arguments, "--learning_rate", 1e-3, "--restart")) == 0
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns > before


def test_no_word_of_a_note_in_what_is_written_and_printed(notes_file, base, tmp_path, capsys):
    rows = [json.loads(line) for line in notes_file.read_text().splitlines()]
    rows[3]["text"] += " Zaphodnotary " * 5
    notes_file.write_text("\n".join(json.dumps(row) for row in rows))
    arguments = ["--objective", "mlm", "--model_name_or_path", base, "--train_file", notes_file, "--output_dir"]
    assert pretrain.main(options(*arguments, tmp_path / "out", *SMALL, "--max_length", 32)) == 0
    printed = "".join(capsys.readouterr())
    assert "Zaphodnotary" not in printed
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"Zaphodnotary" not in path.read_bytes(), path


def test_an_encoder_without_head_gets_one_and_time_for_it(make_model, notes_file, tmp_path, capsys):
    model, tokenizer = make_model("roberta")
    model.base_model.save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    arguments = ["--objective", "mlm", "--model_name_or_path", tmp_path / "encoder", "--train_file", notes_file]
    arguments += ["--output_dir", tmp_path / "out", *SMALL, "--max_length", 32]
    assert pretrain.main(options(*arguments)) == 0
    assert "has no masked-LM head" in capsys.readouterr().out
    settings = json.loads((tmp_path / "out" / "training_summary.json").read_text())["settings"]
    assert settings["head_warmup_steps"] == 0.1


def faulty(base, notes_file, tmp_path):
    """Return (arguments, what the message says) of each fault."""
    half = tmp_path / "half.jsonl"
    half.write_text(notes_file.read_text()[:-40])
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("text,document_id\n" + "\n".join(f"{number}.5,{number}" for number in range(9)))
    latin = tmp_path / "latin.csv"
    latin.write_bytes("text\nsore thro\xe4t and fever\n".encode("latin-1"))
    weightless = tmp_path / "weightless"
    weightless.mkdir()
    (weightless / "config.json").write_text((base / "config.json").read_text())
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("objective: declutr\nlearning_rat: 1e-4\n")
    good = {"--objective": "declutr", "--model_name_or_path": base, "--train_file": notes_file, "--output_dir": "out"}
    good |= {"--min_span_length": 4, "--max_span_length": 24}
    yield good | {"--train_file": tmp_path / "missing.csv"}, "missing.csv"
    yield good | {"--text_column": "note"}, "column 'note'"
    yield good | {"--train_file": half}, "half.jsonl, row 40"
    yield good | {"--train_file": empty}, "empty.jsonl"
    yield good | {"--train_file": numbers}, "column 'text'"
    yield good | {"--train_file": latin}, "UTF-8"
    yield good | {"--model_name_or_path": weightless}, "weightless"
    yield good | {"--model_name_or_path": tmp_path / "nowhere"}, "nowhere"
    yield good | {"--output_dir": in_the_way}, "not a folder"
    yield good | {"--output_dir": foreign}, "not of a run"
    yield good | {"--max_span_length": 63}, "window of 64; set it to 62 or less"
    yield good | {"--min_span_length": 300, "--max_span_length": 400}, "lower --min_span_length"
    yield good | {"--train_tokens": 1_000}, "both say when to stop"
    yield good | {"--temperature": 0}, "temperature must be positive"
    yield good | {"--positive_strategy": "nearby"}, "nearby"
    yield good | {"--config_name": "roberta"}, "either --model_name_or_path"
    yield good | {"--lora_rank": 2, "--lora_target_modules": "nothing"}, "--lora_target_modules"
    yield good | {"": recipe}, "learning_rat'; the nearest is 'learning_rate'"


@pytest.mark.parametrize("objective", ["mlm", "declutr", "note_category"])
def test_a_run_of_so_many_tokens_reads_them(objective, base, notes_file, tmp_path):
    pretrain.main(
        options(
            *("--objective", objective, "--model_name_or_path", base, "--train_file", notes_file),
            *("--output_dir", tmp_path / "model", "--train_tokens", 20_000, "--include_num_input_tokens_seen"),
            *("non_padding", "--use_cpu", "--disable_tqdm", "--per_device_train_batch_size", 4, "--save_strategy"),
            *("no", "--no_model_card", *(SPANS if objective == "declutr" else ())),
        )
    )
    summary = json.loads((tmp_path / "model" / "training_summary.json").read_text())
    assert summary["tokens_read"] == pytest.approx(20_000, rel=0.1)


def test_each_fault_is_an_input_error_and_leaves_nothing(base, notes_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments, message in faulty(base, notes_file, tmp_path):
        recipe = [arguments.pop("")] if "" in arguments else []
        words = [word for pair in arguments.items() for word in pair]
        with pytest.raises(InputError) as error:
            pretrain.main(options(*recipe, *words, *SMALL))
        assert message in str(error.value) and "\n" not in str(error.value), str(error.value)
        assert not list(tmp_path.glob("out/*.safetensors"))
        if arguments["--train_file"] != notes_file:
            assert not (tmp_path / "out").exists()


def test_a_run_that_diverges_says_so_and_exports_nothing(base, notes_file, tmp_path, capsys):
    folder = tmp_path / "out"
    arguments = ["--objective", "mlm", "--model_name_or_path", base, "--train_file", notes_file, "--output_dir", folder]
    arguments += [*SMALL, "--max_length", 32, "--learning_rate", 1e30, "--logging_steps", 1]
    with pytest.raises(InputError, match="training diverged: there are weights that are not finite"):
        pretrain.main(options(*arguments))
    assert not list(folder.glob("*.safetensors")) and not (folder / "training_summary.json").exists()
    assert "nan" in capsys.readouterr().out  # the log does not show the loss of before


def test_a_fault_is_one_line_and_status_2(run_script, base, notes_file, tmp_path):
    result = run_script(
        "pretrain", "--objective", "mlm", "--model_name_or_path", base, "--train_file", tmp_path / "none.csv", *SMALL
    )
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("pretrain.py: error: ") and "none.csv" in lines[0]


def test_missing_processes_are_named():
    """Stands for `accelerate launch --cpu --num_processes 2`, which starts one process and says nothing."""
    launcher = (
        "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', "
        f"\"import sys; sys.path.insert(0, '{ROOT / 'scripts'}'); sys.argv = ['pretrain.py']; import launching; "
        'launching.warn_about_missing_processes(1)"]))'
    )
    result = subprocess.run(
        [sys.executable, "-c", launcher, "accelerate", "launch", "--cpu", "--num_processes", "2"],
        capture_output=True,
        text=True,
    )
    assert "asked for 2 processes but 1 runs" in result.stderr and "torchrun --nproc-per-node 2" in result.stderr
    result = subprocess.run([sys.executable, "-c", launcher, "--num_processes", "2"], capture_output=True, text=True)
    assert result.stderr == ""
