"""The trainers: what moves, what is logged, what accumulation means, what a checkpoint folder is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from collators import cut_into_rows, keep_long_enough, tokenize_documents
from collators.masking import IGNORE_INDEX
from corpora.errors import InputError
from modeling.adapters import add_lora
from modeling.pooling import pool
from trainers import DeclutrArguments, DeclutrTrainer, MlmArguments, MlmTrainer
from trainers.contrastive_loss import nt_xent

COMMON = {
    "use_cpu": True,
    "disable_tqdm": True,
    "max_steps": 4,
    "per_device_train_batch_size": 4,
    "logging_steps": 2,
    "learning_rate": 1e-2,
    "lr_scheduler_type": "constant",
    "save_strategy": "no",
}


def declutr(make_model, notes, folder, family="bert", model=None, **options):
    plain, tokenizer = make_model(family)
    arguments = DeclutrArguments(str(folder), **{**COMMON, "min_span_length": 4, "max_span_length": 24, **options})
    documents, _ = keep_long_enough(tokenize_documents(notes, tokenizer), arguments.span_options().min_document_length)
    return DeclutrTrainer(
        model or plain,
        arguments,
        processing_class=tokenizer,
        train_dataset=documents.select(range(24)),
        eval_dataset=documents.select(range(24, 40)),
    )


def mlm(make_model, notes, folder, family="bert", **options):
    model, tokenizer = make_model(family)
    rows = cut_into_rows(tokenize_documents(notes, tokenizer), tokenizer, 32, concatenate=True)
    arguments = MlmArguments(str(folder), **{**COMMON, **options})
    return MlmTrainer(
        model,
        arguments,
        processing_class=tokenizer,
        train_dataset=rows.select(range(64)),
        eval_dataset=rows.select(range(64, 80)),
    )


MAKERS = {"declutr": declutr, "mlm": mlm}


def parameters(trainer):
    return {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}


@pytest.mark.parametrize("objective", MAKERS)
def test_every_parameter_moves_and_the_loss_falls(make_model, notes, tmp_path, objective, family):
    trainer = MAKERS[objective](make_model, notes, tmp_path, family, max_steps=12, logging_steps=1)
    before = parameters(trainer)
    trainer.train()
    still = [name for name, parameter in trainer.model.named_parameters() if torch.equal(parameter, before[name])]
    # The padding row of the position table and the like never get a gradient; whole tensors always do.
    assert still == []
    losses = [line["mlm_loss"] for line in trainer.state.log_history if "mlm_loss" in line]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_the_log_holds_every_term_and_the_total_is_their_weighted_sum(make_model, notes, tmp_path):
    trainer = declutr(make_model, notes, tmp_path, logging_steps=1, contrastive_weight=2.0, mlm_weight=0.5)
    trainer.train()
    lines = [line for line in trainer.state.log_history if "loss" in line]
    assert len(lines) == 4
    for line in lines:
        assert line["loss"] == pytest.approx(2 * line["contrastive_loss"] + 0.5 * line["mlm_loss"], rel=1e-4)
        assert 0 <= line["contrastive_accuracy"] <= 1 and 0 <= line["mlm_accuracy"] <= 1
        assert 0 <= line["alignment"] <= 4 and line["uniformity"] <= 0
        assert line["spans_per_second"] > 0 and line["tokens_per_second"] > line["spans_per_second"]


def test_contrastive_loss_of_a_batch_equals_a_plain_reading(make_model, notes, tmp_path):
    trainer = declutr(make_model, notes, tmp_path, mlm_weight=1.0)
    batch = next(iter(trainer.get_train_dataloader()))
    terms = {term.name: term for term in trainer.loss_terms(trainer.model.eval(), batch)}
    with torch.no_grad():
        output = trainer.model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], output_hidden_states=True
        )
    hidden = output.hidden_states[-1]
    embeddings = []
    for row, mask in zip(hidden, batch["attention_mask"], strict=True):
        embeddings.append(row[mask.bool()].mean(0))
    anchors = [embeddings[row] for row in batch["anchor_rows"]]
    positives = [torch.stack([embeddings[row] for row in rows]).mean(0) for rows in batch["positive_rows"]]
    vectors = [F.normalize(vector, dim=0) for vector in [*anchors, *positives]]
    count, losses = len(anchors), []
    for i, vector in enumerate(vectors):
        scores = torch.stack([vector @ other / 0.05 for k, other in enumerate(vectors) if k != i])
        pair = (i + count) % (2 * count)
        losses.append(scores.logsumexp(0) - vector @ vectors[pair] / 0.05)
    contrastive = terms["contrastive"]
    assert contrastive.total.item() / contrastive.count == pytest.approx(torch.stack(losses).mean().item(), rel=1e-4)
    labels = batch["labels"]
    expected = F.cross_entropy(output.logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE_INDEX)
    mlm_term = terms["mlm"]
    assert mlm_term.total.item() / mlm_term.count == pytest.approx(expected.item(), rel=1e-4)
    assert (labels[batch["positive_rows"].flatten()] == IGNORE_INDEX).all()


def test_mlm_with_accumulation_8_x_1_equals_1_x_8(make_model, notes, tmp_path):
    options = {"max_steps": 3, "logging_steps": 1, "optim": "sgd"}
    whole = mlm(make_model, notes, tmp_path / "a", per_device_train_batch_size=8, **options)
    parts = mlm(
        make_model, notes, tmp_path / "b", per_device_train_batch_size=1, gradient_accumulation_steps=8, **options
    )
    whole.train()
    parts.train()
    for one, other in zip(whole.state.log_history, parts.state.log_history, strict=True):
        for name in ("loss", "mlm_loss", "grad_norm"):
            if name in one:
                assert one[name] == pytest.approx(other[name], rel=1e-4), name
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_accumulated_contrastive_losses_are_averaged(make_model, notes, tmp_path):
    trainer = declutr(
        make_model, notes, tmp_path, max_steps=1, logging_steps=1, gradient_accumulation_steps=3, mlm_weight=0.0
    )
    trainer.train()
    line = trainer.state.log_history[0]
    assert line["loss"] == pytest.approx(line["contrastive_loss"], rel=1e-5)


@pytest.mark.parametrize("objective", MAKERS)
def test_validation_is_the_same_each_time_and_finds_the_best_model(make_model, notes, tmp_path, objective):
    trainer = MAKERS[objective](
        make_model,
        notes,
        tmp_path,
        max_steps=6,
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_mlm_loss",
        greater_is_better=False,
    )
    first, second = trainer.evaluate(), trainer.evaluate()
    assert first["eval_loss"] == second["eval_loss"] > 0
    terms = [name for name in ("eval_contrastive_loss", "eval_mlm_loss") if name in first]
    assert first["eval_loss"] == pytest.approx(sum(first[name] for name in terms))
    trainer.train()
    history = [line["eval_mlm_loss"] for line in trainer.state.log_history if "eval_mlm_loss" in line]
    assert trainer.evaluate()["eval_mlm_loss"] == pytest.approx(min(history[2:]), rel=1e-6)


def test_early_stopping_stops(make_model, notes, tmp_path):
    from transformers import EarlyStoppingCallback

    trainer = mlm(
        make_model,
        notes,
        tmp_path,
        max_steps=40,
        learning_rate=0.0,
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_mlm_loss",
        greater_is_better=False,
    )
    trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=2))
    trainer.train()
    assert trainer.state.global_step == 6


def test_without_masked_lm_loss_the_head_stays(make_model, notes, tmp_path):
    trainer = declutr(make_model, notes, tmp_path, mlm_weight=0.0, weight_decay=0.5)
    before = parameters(trainer)
    trainer.train()
    head = {name for name in before if name.startswith("cls.")}
    moved = {name for name, parameter in trainer.model.named_parameters() if not torch.equal(parameter, before[name])}
    assert head and not head & moved and moved == set(before) - head


def test_head_warmup_trains_the_head_alone(make_model, notes, tmp_path):
    trainer = mlm(make_model, notes, tmp_path, max_steps=3, head_warmup_steps=3, weight_decay=0.1)
    before = parameters(trainer)
    trainer.train()
    moved = {name for name, parameter in trainer.model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {name for name in before if name.startswith("cls.")}
    trainer = mlm(make_model, notes, tmp_path, max_steps=4, head_warmup_steps=0.5)
    before = parameters(trainer)
    trainer.train()
    assert all(not torch.equal(parameter, before[name]) for name, parameter in trainer.model.named_parameters())


def test_the_head_has_a_learning_rate_of_its_own(make_model, notes, tmp_path):
    trainer = mlm(make_model, notes, tmp_path, head_learning_rate=0.5)
    groups = trainer.create_optimizer().param_groups
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    decays = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    assert len(rates) == len(list(trainer.model.parameters()))
    for name, parameter in trainer.model.named_parameters():
        assert rates[id(parameter)] == (0.5 if name.startswith("cls.") else 1e-2)
        assert decays[id(parameter)] == 0.0 or "bias" not in name


def test_slanted_triangular_schedule(make_model, notes, tmp_path):
    trainer = mlm(make_model, notes, tmp_path, max_steps=20, logging_steps=1, slanted_triangular=True, slanted_cut=0.25)
    trainer.train()
    rates = [line["learning_rate"] for line in trainer.state.log_history if "learning_rate" in line]
    # Howard and Ruder, equation 3: cut at step 5, ratio 32.
    expected = []
    for step in range(20):
        share = step / 5 if step < 5 else 1 - (step - 5) / 15
        expected.append(1e-2 * (1 + share * 31) / 32)
    assert rates == pytest.approx(expected)


def test_a_span_beyond_the_window_is_refused(make_model, notes, tmp_path):
    with pytest.raises(InputError, match=r"--max_span_length 63 .* window of 64; set it to 62 or less"):
        declutr(make_model, notes, tmp_path, max_span_length=63)


def encoded(folder, texts):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode(texts, convert_to_numpy=True)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("lora", [False, True])
def test_the_exported_folder_is_complete(make_model, notes, tmp_path, family, pooling, lora):
    if pooling != "mean" and (family != "bert" or lora):
        pytest.skip("pooling does not depend on the family")
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

    model = add_lora(make_model(family)[0], 2) if lora else None
    trainer = declutr(make_model, notes, tmp_path, family, model, pooling=pooling, save_strategy="steps", save_steps=2)
    trainer.train()
    trainer.export(tmp_path)
    texts = notes["text"][:3]
    texts.append(" ".join(notes["text"][:5]))  # longer than the window
    folders = [tmp_path] if lora else [tmp_path, tmp_path / "checkpoint-4"]
    for folder in folders:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        batch = {name: batch[name] for name in ("input_ids", "attention_mask")}
        assert batch["input_ids"].shape[1] == 64
        trainer.model.eval()
        with torch.no_grad():
            own = trainer.model.base_model if not lora else trainer.model.get_base_model().base_model
            expected = pool(own(**batch)[0], batch["attention_mask"], pooling)
            plain = pool(AutoModel.from_pretrained(folder).eval()(**batch)[0], batch["attention_mask"], pooling)
            logits = AutoModelForMaskedLM.from_pretrained(folder).eval()(**batch)["logits"]
            own_logits = trainer.model(**batch)["logits"]
        torch.testing.assert_close(plain, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(logits, own_logits, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(encoded(folder, texts), expected.numpy(), rtol=1e-4, atol=1e-5)
        names = {path.name for path in folder.iterdir()}
        assert "training_args.bin" not in names and not {name for name in names if name.endswith((".bin", ".py"))}
        assert "model.safetensors" in names
        assert "auto_map" not in json.loads((folder / "config.json").read_text())
    assert not list(tmp_path.glob("*partial*"))


def test_a_trainer_without_tokenizer_is_refused(make_model):
    with pytest.raises(InputError, match="tokenizer"):
        MlmTrainer(make_model()[0], MlmArguments(use_cpu=True))


@pytest.mark.parametrize("precision", ["bf16"])
@pytest.mark.parametrize("objective", MAKERS)
def test_mixed_precision_and_gradient_checkpointing_train(make_model, notes, tmp_path, objective, precision):
    plain = MAKERS[objective](make_model, notes, tmp_path / "a", logging_steps=1)
    mixed = MAKERS[objective](
        make_model, notes, tmp_path / "b", logging_steps=1, gradient_checkpointing=True, **{precision: True}
    )
    plain.train()
    mixed.train()
    one, other = (trainer.state.log_history[0]["loss"] for trainer in (plain, mixed))
    assert one == pytest.approx(other, rel=0.03)
    assert all(parameter.dtype == torch.float32 for parameter in mixed.model.parameters())


def test_the_temperature_follows_its_schedule_and_evaluation_keeps_the_first(make_model, notes, tmp_path, monkeypatch):
    seen = []

    def recorded(vectors, relations, temperature, *, decoupled, **options):
        seen.append((trainer.model.training, round(temperature, 6), decoupled))
        return nt_xent(vectors, relations, temperature, decoupled=decoupled, **options)

    monkeypatch.setattr("trainers.declutr_trainer.nt_xent", recorded)
    trainer = declutr(make_model, notes, tmp_path, temperature=0.4, final_temperature=0.1, decoupled=True, mlm_weight=0)
    trainer.train()
    assert [temperature for training, temperature, _ in seen if training] == [0.4, 0.3, 0.2, 0.1]
    trainer.evaluate()
    assert {temperature for training, temperature, _ in seen if not training} == {0.4}
    assert all(decoupled for _, _, decoupled in seen)


def test_a_final_temperature_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="final_temperature must be positive"):
        DeclutrArguments(str(tmp_path), use_cpu=True, final_temperature=0)


@pytest.mark.parametrize("name", [str, Path, lambda folder: True])
def test_a_finished_run_stays_finished_however_it_is_named(make_model, notes, tmp_path, name):
    mlm(make_model, notes, tmp_path, max_steps=3, save_strategy="steps", save_steps=3).train()
    saved = load_file(tmp_path / "checkpoint-3" / "model.safetensors")
    (tmp_path / "checkpoint-4").mkdir()  # begun when the run was killed
    again = mlm(make_model, notes, tmp_path, max_steps=3)
    assert again.train(resume_from_checkpoint=name(tmp_path / "checkpoint-3")).global_step == 3
    for key, value in again.model.state_dict().items():
        if key in saved:
            assert torch.equal(value, saved[key]), key


@pytest.mark.parametrize("make", [declutr, mlm])
def test_other_documents_can_be_evaluated(make_model, notes, tmp_path, make):
    trainer = make(make_model, notes, tmp_path)
    expected = trainer.evaluate()["eval_loss"]
    assert trainer.evaluate(trainer.eval_dataset.documents)["eval_loss"] == pytest.approx(expected)


def test_a_warm_up_of_a_head_that_is_not_trained_stops_nothing(make_model, notes, tmp_path):
    trainer = declutr(make_model, notes, tmp_path, mlm_weight=0.0, head_warmup_steps=3, max_steps=2)
    before = parameters(trainer)
    trainer.train()
    assert not torch.equal(
        parameters(trainer)["bert.encoder.layer.0.output.dense.weight"],
        before["bert.encoder.layer.0.output.dense.weight"],
    )


def test_an_option_without_effect_is_refused(tmp_path):
    with pytest.raises(ValueError, match="label_smoothing_factor has no effect"):
        MlmArguments(str(tmp_path), label_smoothing_factor=0.1)
