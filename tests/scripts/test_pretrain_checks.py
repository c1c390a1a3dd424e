"""What pretrain.py refuses before it writes or deletes anything."""

import json
import shutil
from pathlib import Path

import pytest

import pretrain
from corpora.errors import InputError
from run_folder import (
    delete_earlier_run,
    put_back_earlier_run,
    remove_if_unstarted,
    set_earlier_run_aside,
)

pytestmark = pytest.mark.usefixtures("caches")


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


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--optim", "lion_8bit"], "--optim lion_8bit"),
        (["--pad_to_multiple_of", 7], "--pad_to_multiple_of 7 does not divide"),
        (["--model_name_or_path", "broken"], "its weights have other shapes"),
    ],
)
def test_a_restart_that_is_refused_leaves_the_earlier_run(base, notes_file, tmp_path, more, told):
    output = tmp_path / "run"
    pretrain.main(words(base, notes_file, output))
    before = files(output)
    broken = shutil.copytree(base, tmp_path / "broken")  # its weights have other shapes than its settings say
    settings = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**settings, "hidden_size": settings["hidden_size"] * 2}))
    more = [broken if word == "broken" else word for word in more]
    with pytest.raises(InputError, match=told):
        pretrain.main(words(base, notes_file, output, "--restart", *more))
    assert files(output) == before
    pretrain.main(words(base, notes_file, output, "--restart", "--seed", 7))  # and one that is not replaces it
    assert files(output).keys() == before.keys()
    assert json.loads((output / "run_settings.json").read_text())["seed"] == 7


@pytest.mark.parametrize("moved", range(4))
def test_an_earlier_run_comes_back_wherever_a_restart_was_killed(tmp_path, monkeypatch, moved):
    def run(folder):
        (folder / "checkpoint-5").mkdir(parents=True)
        (folder / "tokenizer").mkdir()
        for name in ("checkpoint-5/state", "tokenizer/words", "run_settings.json"):
            (folder / name).write_text(f"earlier {name}")

    def kill_after(count):
        left, replace = iter(range(count)), Path.replace

        def replace_or_die(path, target):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", replace_or_die)

    run(tmp_path / "run")
    before = files(tmp_path)
    for killed in (set_earlier_run_aside, put_back_earlier_run):
        kill_after(moved)
        if moved < 3:
            with pytest.raises(KeyboardInterrupt):
                killed(tmp_path / "run")
        else:
            killed(tmp_path / "run")
        monkeypatch.undo()
        if killed is set_earlier_run_aside and moved == 3:  # the new run got so far
            (tmp_path / "run" / "tokenizer").mkdir()
            (tmp_path / "run" / "tokenizer" / "others").write_text("new")
            (tmp_path / "run" / "run_settings.json").write_text("new")
        put_back_earlier_run(tmp_path / "run")
        assert files(tmp_path) == before
        set_earlier_run_aside(tmp_path / "run")
    delete_earlier_run(tmp_path / "run")
    assert files(tmp_path) == {}


def test_no_run_starts_that_would_evaluate_on_nothing(base, notes_file, tmp_path):
    given = words(base, notes_file, tmp_path / "run", "--eval_strategy", "steps", "--eval_steps", 1)
    with pytest.raises(InputError, match=r"notes.jsonl: there are no validation documents .*--eval_strategy no$"):
        pretrain.main(given)
    best = ["--load_best_model_at_end", "--save_strategy", "steps", "--save_steps", "1"]
    with pytest.raises(InputError, match=r"--eval_strategy no --no_load_best_model_at_end$"):
        pretrain.main([*given, *best])
    assert not (tmp_path / "run").exists()
    pretrain.parse_options([*given, *best, "--eval_strategy", "no", "--no_load_best_model_at_end"])  # as it says


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--learning_rate", -1], "learning_rate must be at least 0, got -1"),
        (["--per_device_eval_batch_size", 0], "per_device_eval_batch_size must be at least 1, got 0"),
        (["--optim", "lion_8bit"], r"--optim lion_8bit cannot be used here \(.*bitsandbytes"),
        (["--optim", "grokadamw"], "--optim grokadamw cannot be used here"),
        (["--report_to", "nonsense"], "--report_to nonsense is unknown; choose from none, "),
        (["--report_to", "wandb"], "--report_to wandb needs a package that is not installed"),
    ],
)
def test_options_that_cannot_be_trained_with_leave_nothing(base, notes_file, tmp_path, monkeypatch, more, told):
    # As where they are not installed.
    monkeypatch.setattr("transformers.integrations.integration_utils.is_wandb_available", lambda: False)
    for name in ("is_bitsandbytes_available", "is_grokadamw_available"):
        monkeypatch.setattr(f"transformers.trainer_optimizer.{name}", lambda *_: False)
    with pytest.raises(InputError, match=told):
        pretrain.main(words(base, notes_file, tmp_path / "run", *more))
    assert not (tmp_path / "run").exists()


def test_what_the_trainer_refuses_is_one_line_and_leaves_nothing(notes_file, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("these two\nexclude each other")

    monkeypatch.setattr("trainers.MlmTrainer", refuse)
    given = words("", notes_file, tmp_path / "run")
    given = [*given[:2], *given[4:], "--config_name", "roberta", "--train_tokenizer", "--vocab_size", "320"]
    given += ["--hidden_size", "16", "--num_hidden_layers", "1", "--num_attention_heads", "2", "--window", "40"]
    with pytest.raises(InputError, match=r"^these options cannot be trained with \(these two exclude each other\)"):
        pretrain.main(given)
    assert not (tmp_path / "run").exists()


def test_a_refused_run_keeps_what_an_earlier_one_saved(tmp_path):
    (tmp_path / "checkpoint-5").mkdir()
    (tmp_path / "run_settings.json").write_text("{}")
    remove_if_unstarted(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
