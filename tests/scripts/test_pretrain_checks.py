"""What pretrain.py refuses before it writes or deletes anything."""

import pytest

import pretrain
from corpora.errors import InputError


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def base(make_model, tmp_path):
    model, tokenizer = make_model("roberta")
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def notes_file(notes, tmp_path):
    notes.to_json(tmp_path / "notes.jsonl")
    return tmp_path / "notes.jsonl"


def words(base, notes_file, output, *more):
    given = ["--objective", "mlm", "--model_name_or_path", base, "--train_file", notes_file, "--output_dir", output]
    given += ["--use_cpu", "--disable_tqdm", "--max_steps", 1, "--save_strategy", "no", "--max_length", 32]
    return list(map(str, [*given, *more]))


def files(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("inside", ["", "checkpoint-5", "link"])
def test_no_run_deletes_the_model_that_it_starts_from(base, notes_file, tmp_path, inside):
    output = tmp_path / "run"
    output.mkdir()
    (output / "run_settings.json").write_text("{}")
    base = base.rename(output / "checkpoint-5" if inside == "checkpoint-5" else tmp_path / "base")
    if inside == "":
        base.joinpath("run_settings.json").write_text("{}")
        output = base
    if inside == "link":  # through it the model would be lost, for nothing else names it
        (output / "link").symlink_to(base)
        base = output / "link"
    before = files(tmp_path)
    for more in ((), ("--restart",)):
        with pytest.raises(InputError, match="the model to start from lies in the output folder; choose another --out"):
            pretrain.main(words(base, notes_file, output, *more))
    assert files(tmp_path) == before


def test_no_restart_deletes_the_notes_or_a_run_before_all_is_read(base, notes_file, tmp_path):
    output = tmp_path / "run"
    output.mkdir()
    (output / "run_settings.json").write_text("{}")
    (output / "notes.jsonl").write_bytes(notes_file.read_bytes())
    before = files(tmp_path)
    for option in ("--train_file", "--validation_file"):
        with pytest.raises(InputError, match=f"what {option} names lies in the output folder"):
            pretrain.main(words(base, notes_file, output, "--restart", option, output / "*.jsonl"))
    with pytest.raises(InputError, match="column 'report'"):
        pretrain.main(words(base, notes_file, output, "--restart", "--text_column", "report"))
    assert files(tmp_path) == before


def test_no_run_starts_that_would_evaluate_on_nothing(base, notes_file, tmp_path):
    given = words(base, notes_file, tmp_path / "run", "--eval_strategy", "steps", "--eval_steps", 1)
    with pytest.raises(InputError, match=r"notes.jsonl: there are no validation documents .*--eval_strategy no$"):
        pretrain.main(given)
    best = ["--load_best_model_at_end", "--save_strategy", "steps", "--save_steps", "1"]
    with pytest.raises(InputError, match=r"--eval_strategy no --no_load_best_model_at_end$"):
        pretrain.main([*given, *best])
    assert not (tmp_path / "run").exists()
    pretrain.parse_options([*given, *best, "--eval_strategy", "no", "--no_load_best_model_at_end"])  # as it says
