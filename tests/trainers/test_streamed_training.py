"""Training on a stream: resumed = uninterrupted to the bit, with any number of steps, epochs and workers."""

import pytest
import torch

import pretrain
from collators import StreamOptions, stream_documents, stream_rows
from corpora.errors import InputError
from trainers import DeclutrArguments, DeclutrTrainer, MlmArguments, MlmTrainer


def trainer(objective, make_model, notes, folder, **options):
    """Thirty documents, eight a step: the fourth step crosses into the second epoch of DeCLUTR."""
    model, tokenizer = make_model("roberta", dropout=0.1)
    documents, shuffled = notes.select(range(30)), StreamOptions(5, 10)
    common = {"use_cpu": True, "disable_tqdm": True, "save_steps": 3, "learning_rate": 1e-2, "seed": 5, **options}
    common |= {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "report_to": "none"}
    if objective == "mlm":
        stream = stream_rows(documents, tokenizer, 32, shuffled, concatenate=True)
        return MlmTrainer(model, MlmArguments(folder, **common), processing_class=tokenizer, train_dataset=stream)
    arguments = DeclutrArguments(folder, min_span_length=4, max_span_length=24, **common)
    stream = stream_documents(documents, tokenizer, 8, shuffled)
    return DeclutrTrainer(model, arguments, processing_class=tokenizer, train_dataset=stream)


def weights(trained):
    return {name: parameter.detach().clone() for name, parameter in trained.model.named_parameters()}


@pytest.mark.parametrize("objective", ["declutr", "mlm"])
def test_resumed_weights_are_the_same_bits(objective, make_model, notes, tmp_path):
    whole = trainer(objective, make_model, notes, str(tmp_path), max_steps=7)
    before = weights(whole)
    whole.train()
    expected = weights(whole)
    # A key's bias shifts all scores of a query alike, which softmax takes out again: its gradient is rounding alone.
    still = [name for name in before if torch.equal(before[name], expected[name])]
    assert [name for name in still if not name.endswith("key.bias")] == []
    for step, workers in ((3, 1), (6, 0)):
        resumed = trainer(
            objective, make_model, notes, str(tmp_path), max_steps=7, dataloader_num_workers=workers, save_strategy="no"
        )
        resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{step}"))
        assert resumed.state.global_step == 7
        found = weights(resumed)
        assert all(torch.equal(found[name], expected[name]) for name in expected), (step, workers)


def test_a_stream_needs_steps_and_one_reader(make_model, notes, tmp_path):
    with pytest.raises(InputError, match="--streaming needs the number of steps; give --max_steps"):
        trainer("mlm", make_model, notes, str(tmp_path))
    with pytest.raises(InputError, match="one worker, not with 2"):
        trainer("mlm", make_model, notes, str(tmp_path), max_steps=1, dataloader_num_workers=2)


def test_pretrain_streams_and_refuses_what_a_stream_cannot_give(make_model, notes, tmp_path, monkeypatch, capsys):
    import json

    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    model, tokenizer = make_model("roberta")
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    notes.to_json(tmp_path / "notes.jsonl")
    words = ["--model_name_or_path", tmp_path / "base", "--train_file", tmp_path / "notes.jsonl", "--streaming"]
    words += ["--use_cpu", "--disable_tqdm", "--per_device_train_batch_size", 4, "--output_dir", tmp_path / "out"]

    def run(*more):
        return pretrain.main(list(map(str, [*words, *more])))

    for arguments, match in (
        (["--objective", "mlm"], "give --max_steps"),
        (["--objective", "note_category", "--max_steps", 2], "does not read metadata"),
        (["--objective", "declutr", "--max_steps", 2, "--category_columns", "note_category"], "does not read metadata"),
        (["--objective", "mlm", "--max_steps", 2, "--shuffle_window", 0], "shuffle_window must be at least 1"),
    ):
        with pytest.raises(InputError, match=match):
            run(*arguments)
        assert not (tmp_path / "out").exists()
    mapped = []
    real = datasets.Dataset.map
    monkeypatch.setattr(datasets.Dataset, "map", lambda self, *a, **b: mapped.append(1) or real(self, *a, **b))
    assert run("--objective", "declutr", "--max_steps", 2, "--min_span_length", 4, "--max_span_length", 24) == 0
    assert not mapped and "train: 40 documents, streamed" in capsys.readouterr().out
    summary = json.loads((tmp_path / "out" / "training_summary.json").read_text())
    assert summary["documents"] == {"train": {"documents": 40, "streamed": True}}
    assert summary["steps"] == 2 and summary["epochs"] is None
    assert (tmp_path / "out" / "model.safetensors").is_file() and (tmp_path / "out" / "README.md").is_file()
