"""A training process killed with SIGKILL and started again ends with the same bytes as one that was left alone."""

import hashlib
import json
from pathlib import Path

import pytest

# Killed in the middle of a step, in the middle of writing a checkpoint, after the last step.
PROGRAM = """
import pretrain
from transformers import Trainer
from trainers.base import AdaptationTrainer


def kill_in_step(step):
    original = AdaptationTrainer.compute_loss

    def compute_loss(self, *arguments, **options):
        if self.model.training and self.state.global_step == step:
            die()
        return original(self, *arguments, **options)

    AdaptationTrainer.compute_loss = compute_loss


def kill_while_saving(step):
    original = Trainer._save_rng_state

    def save(self, folder):
        if self.state.global_step == step:
            die()
        original(self, folder)

    Trainer._save_rng_state = save


def kill_while_exporting(_):
    AdaptationTrainer._complete_folder = (
        lambda self, folder, original=AdaptationTrainer._complete_folder:
        die() if folder.name == ".export.partial" else original(self, folder)
    )


play(pretrain.main)
"""

KILLS = {
    "untouched": [],
    "first_step": [("kill_in_step", 0)],
    "between_checkpoints": [("kill_in_step", 3)],
    "after_a_checkpoint_and_again": [("kill_in_step", 4), ("kill_in_step", 6)],
    "while_saving": [("kill_while_saving", 4)],
    "while_saving_the_first": [("kill_while_saving", 2)],
    "while_exporting": [("kill_while_exporting", 0)],
}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("objective", ["declutr", "mlm", "note_category"])
def test_resumed_weights_are_the_same_bytes(notes, make_model, play_killed, tmp_path, objective):
    model, tokenizer = make_model("roberta", dropout=0.1)
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    notes.to_json(tmp_path / "notes.jsonl")
    arguments = ["--objective", objective, "--model_name_or_path", tmp_path / "base"]
    arguments += ["--train_file", tmp_path / "notes.jsonl", "--max_steps", 7, "--save_steps", 2, "--logging_steps", 1]
    # Epochs of five steps, so that a resumption lies inside an epoch; a constant rate, so that a step too many shows.
    arguments += ["--lr_scheduler_type", "constant"]
    arguments += ["--per_device_train_batch_size", 4, "--gradient_accumulation_steps", 2, "--learning_rate", "1e-3"]
    arguments += ["--use_cpu", "--disable_tqdm", "--seed", 7, "--head_warmup_steps", 3]
    if objective == "declutr":
        arguments += ["--min_span_length", 4, "--max_span_length", 24, "--cross_batch_memory", 20]
    elif objective == "mlm":
        arguments += ["--max_length", 32, "--max_train_documents", 25]
    else:
        arguments += ["--max_length", 32, "--category_balance", "sampling", "--category_head", "mlp"]
        arguments += ["--category_head_dropout", 0.1]
    play_killed(PROGRAM, arguments, KILLS)
    expected = digest(tmp_path / "untouched" / "model.safetensors")
    assert expected != digest(tmp_path / "base" / "model.safetensors")
    for name in KILLS:
        folder = tmp_path / name
        assert digest(folder / "model.safetensors") == expected, name
        if objective == "note_category":
            weights = Path("category_heads") / "model.safetensors"
            assert digest(folder / weights) == digest(tmp_path / "untouched" / weights), name
        assert json.loads((folder / "training_summary.json").read_text())["steps"] == 7
        assert not list(folder.glob("*.partial")), name
