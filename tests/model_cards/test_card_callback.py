"""Cards beside the checkpoints of pretrain.py: at each save and at the end, the same after an interruption."""

import json
import re

import pytest
from huggingface_hub import metadata_load

import pretrain
from model_cards.kept_regions import region
from model_cards.render import write_card

TIMES = re.compile(r"^\| Duration \|.*$", re.MULTILINE)


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def arguments(make_model, notes, tmp_path):
    model, tokenizer = make_model("roberta")
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    notes.to_json(tmp_path / "notes.jsonl")
    words = ["--objective", "declutr", "--model_name_or_path", tmp_path / "base", "--use_cpu", "--disable_tqdm"]
    words += ["--train_file", tmp_path / "notes.jsonl", "--max_steps", 4, "--save_steps", 2, "--logging_steps", 1]
    words += ["--per_device_train_batch_size", 4, "--min_span_length", 4, "--max_span_length", 24, "--seed", 3]
    return list(map(str, words))


class InterruptionError(Exception):
    pass


def without_times(card):
    assert len(TIMES.findall(card)) == 1
    return TIMES.sub("", card)


def test_a_card_at_each_save_and_at_the_end_and_the_same_after_an_interruption(arguments, tmp_path, monkeypatch):
    whole, halves = tmp_path / "whole" / "model", tmp_path / "halves" / "model"
    pretrain.main([*arguments, "--output_dir", str(whole)])
    cards = {name: (whole / name / "README.md").read_text() for name in (".", "checkpoint-2", "checkpoint-4")}
    assert "# model\n" in cards["."] and "# model, checkpoint 2\n" in cards["checkpoint-2"]
    assert "| Optimizer steps | 2 |" in cards["checkpoint-2"] and "| Optimizer steps | 4 |" in cards["."]
    assert metadata_load(whole / "README.md")["library_name"] == "sentence-transformers"
    assert "| Nursing | 26 | 65.0% |" in cards["."] and "40, " in cards["."] and "20 patients" in cards["."]
    tokens = json.loads((whole / "training_summary.json").read_text())["documents"]["train"]["tokens"]
    assert tokens > 40 * 30 and f"40, {tokens:,} tokens, 20 patients" in cards["."]
    # No word of the notes; and each card can be made anew where it lies.
    assert "dyspnoea" not in "".join(cards.values()) and "note-1" not in "".join(cards.values())
    assert str(tmp_path) not in "".join(cards.values())
    for name, card in cards.items():
        assert write_card(whole / name).read_text() == card

    # Stopped in the third step and started again.
    import trainers.base

    original = trainers.base.AdaptationTrainer.compute_loss

    def compute_loss(self, *args, **options):
        if self.state.global_step == 2:
            raise InterruptionError
        return original(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(trainers.base.AdaptationTrainer, "compute_loss", compute_loss)
        with pytest.raises(InterruptionError):
            pretrain.main([*arguments, "--output_dir", str(halves)])
    assert not (halves / "README.md").exists()
    pretrain.main([*arguments, "--output_dir", str(halves)])
    for name, card in cards.items():
        assert without_times((halves / name / "README.md").read_text()) == without_times(card), name
    first, last = (
        json.loads((halves / name / "training_summary.json").read_text())["seconds"] for name in ("checkpoint-2", ".")
    )
    assert last > first > 0  # both parts of the run


def test_the_heads_of_metadata_in_the_card_work(arguments, tmp_path, monkeypatch, capsys):
    words = [*arguments, "--category_columns", "note_category", "--mlm_weight", "0", "--output_dir"]
    pretrain.main([*words, str(tmp_path / "model")])
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| Metadata columns | `note_category` |" in card and "with prediction of document metadata" in card
    assert "### Missing words" not in card
    block = re.findall(r"```python\n(.*?)```", card.split("### Metadata of a note")[1], re.DOTALL)[0]
    assert "not published" in card.split("### Metadata of a note")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(compile(block.replace('"FOLDER"', '"model"'), "card", "exec"), {})
    printed = capsys.readouterr().out
    assert "'note_category'" in printed and "'Nursing'" in printed and "'Radiology'" in printed


def test_the_card_can_be_left_out(arguments, tmp_path):
    pretrain.main([*arguments, "--output_dir", str(tmp_path / "model"), "--no_model_card", "--max_steps", "2"])
    assert not list((tmp_path / "model").rglob("README.md"))
    assert (tmp_path / "model" / "training_summary.json").is_file()
    # It can be made later, and decides nothing about the run.
    assert "| Optimizer steps | 2 |" in write_card(tmp_path / "model").read_text()
    before = (tmp_path / "model" / "training_summary.json").read_bytes()
    pretrain.main([*arguments, "--output_dir", str(tmp_path / "model"), "--max_steps", "2"])
    assert (tmp_path / "model" / "training_summary.json").read_bytes() == before


def test_a_push_of_the_trainer_takes_our_card(checkpoint, training, make_model, tmp_path):
    from transformers import Trainer, TrainingArguments

    from model_cards.card_callback import CardCallback

    model, _ = make_model("roberta")
    trainer = Trainer(model, TrainingArguments(str(checkpoint), use_cpu=True, report_to="none"))
    card = CardCallback(trainer, lambda: training)
    trainer.add_callback(card)
    file = card.write(checkpoint)
    own = file.read_text().replace(region("summary", ""), region("summary", "Ours."))
    file.write_text(own)
    # What `Trainer.push_to_hub` calls before it uploads; the stock one would replace the file.
    trainer.create_model_card(model_name="adapted", tags=["x"])
    assert file.read_text() == own
