"""Training a classifier: what moves, what a step is, stored features, the best weights, LoRA and its kin."""

import math

import numpy as np
import pytest
import torch
from transformers import TrainerControl, TrainerState

from collators.classification import LabelledDocuments, collate_frozen
from collators.special_tokens import token_ids
from corpora.errors import InputError
from metrics.classification import category_scores
from modeling.adapters import add_adapter, merged
from modeling.frozen_features import embed_documents, store_boundary_states
from modeling.note_classifier import NoteClassifier
from trainers.best_weights import BestWeightsCallback
from trainers.category_loss import category_weights
from trainers.classification_arguments import ClassificationArguments
from trainers.classification_trainer import ClassificationTrainer
from trainers.fine_tuning_trainer import trained_parameters

LABELS = ["Nursing", "Radiology", "Echo"]
ADAPTERS = ("lora", "dora", "ia3", "ln_tuning")
COMMON = {
    "use_cpu": True,
    "disable_tqdm": True,
    "report_to": [],
    "save_strategy": "no",
    "learning_rate": 1e-2,
    "lr_scheduler_type": "constant",
    "per_device_train_batch_size": 8,
    "logging_steps": 1,
}


@pytest.fixture
def classifier(make_model, tmp_path):
    """Return a function: options of the classifier -> the classifier and its tokenizer."""

    def make(family="bert", dropout=0.0, **settings):
        model, tokenizer = make_model(family, dropout=dropout)
        model.save_pretrained(tmp_path / family)
        tokenizer.save_pretrained(tmp_path / family)
        torch.manual_seed(0)
        return NoteClassifier.from_encoder(tmp_path / family, LABELS, head_dropout=dropout, **settings), tokenizer

    return make


@pytest.fixture
def labelled(notes):
    """Return a function: tokenizer -> tokenised documents and labels that their first word tells."""
    random = np.random.default_rng(1)
    targets = random.integers(0, 3, 40)
    words = ["fever", "aspirin", "rash"]
    texts = [f"{words[target]} {words[target]} {text}" for target, text in zip(targets, notes["text"], strict=True)]

    def make(tokenizer):
        return [{"input_ids": ids} for ids in token_ids(tokenizer, texts)], targets

    return make


def trainer_of(model, tokenizer, items, targets, folder, **options):
    arguments = ClassificationArguments(str(folder), **{**COMMON, **options})
    data = LabelledDocuments(items, targets)
    counts = np.bincount(targets, minlength=3).tolist() if targets.ndim == 1 else targets.sum(0).astype(int).tolist()
    return ClassificationTrainer(
        model, arguments, processing_class=tokenizer, train_dataset=data, eval_dataset=data, class_counts=counts
    )


@pytest.mark.parametrize("freeze", ["none", "embeddings", "1", "all"])
def test_what_is_not_frozen_moves_and_nothing_else(classifier, labelled, tmp_path, freeze, family):
    model, tokenizer = classifier(family)
    items, targets = labelled(tokenizer)
    trainer = trainer_of(model, tokenizer, items, targets, tmp_path, freeze=freeze, max_steps=6)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    trainer.train()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == trainable
    assert trained_parameters(model) == sum(before[name].numel() for name in trainable)
    assert (freeze == "none") == (moved == set(before))


def test_it_learns_and_reports_the_scores_of_its_predictions(classifier, labelled, tmp_path):
    model, tokenizer = classifier()
    items, targets = labelled(tokenizer)
    trainer = trainer_of(model, tokenizer, items, targets, tmp_path, num_train_epochs=30)
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    assert after["eval_loss"] < before["eval_loss"] and after["eval_f1_macro"] > 0.9
    probabilities = trainer.predict_probabilities(LabelledDocuments(items, targets))
    scores = category_scores(probabilities, targets)
    assert after["eval_f1_macro"] == pytest.approx(scores["f1_macro"])
    assert after["eval_accuracy"] == pytest.approx(scores["accuracy"])


@pytest.mark.parametrize("task", ["single_label", "multi_label", "ordinal"])
def test_accumulation_8_x_1_equals_1_x_8(classifier, labelled, tmp_path, task):
    losses, trained = [], []
    for batch, steps in ((8, 1), (1, 8)):
        model, tokenizer = classifier(task=task)
        items, targets = labelled(tokenizer)
        if task == "multi_label":
            targets = np.eye(3, dtype=np.float32)[targets]
        trainer = trainer_of(
            model,
            tokenizer,
            items,
            targets,
            tmp_path,
            max_steps=3,
            optim="sgd",
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=steps,
            class_weights="balanced",
            label_smoothing_factor=0.1,
        )
        trainer.train()
        losses.append([line["loss"] for line in trainer.state.log_history if "loss" in line])
        trained.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    torch.testing.assert_close(*trained, rtol=1e-4, atol=1e-6)


def test_balanced_weights_are_those_of_the_counts(classifier, labelled, tmp_path):
    model, tokenizer = classifier()
    items, targets = labelled(tokenizer)
    trainer = trainer_of(model, tokenizer, items, targets, tmp_path, class_weights="balanced")
    counts = np.bincount(targets)
    torch.testing.assert_close(trainer._class_weights, category_weights(counts.tolist(), "inverse"))
    np.testing.assert_allclose(trainer._class_weights, 40 / (3 * counts), rtol=1e-5)
    with pytest.raises(ValueError, match="class_counts"):
        ClassificationTrainer(model, ClassificationArguments("out", class_weights="balanced", use_cpu=True))


@pytest.mark.parametrize("freeze", ["1", "all"])
def test_training_on_stored_features_is_training_on_documents(classifier, labelled, tmp_path, freeze):
    """Frozen modules have no dropout; the head's dropout draws the same numbers in both."""
    probabilities = []
    for stored in (False, True):
        model, tokenizer = classifier(dropout=0.1 if freeze == "all" else 0.0)
        items, targets = labelled(tokenizer)
        model.freeze(freeze)
        collator = model.collator(tokenizer)
        if stored and freeze == "all":
            items = [{"document_embeddings": row} for row in embed_documents(model, items, collator)]
        elif stored:
            items = store_boundary_states(model, items, collator, tmp_path / "states.f32")
        trainer = trainer_of(model, tokenizer, items, targets, tmp_path, freeze=freeze, num_train_epochs=3)
        assert (trainer.data_collator is collate_frozen) == stored
        trainer.train()
        probabilities.append(trainer.predict_probabilities(LabelledDocuments(items, targets)))
    np.testing.assert_allclose(np.log(probabilities[1]), np.log(probabilities[0]), rtol=1e-4, atol=1e-4)


def test_the_best_weights_come_back(classifier, labelled, tmp_path):
    model, tokenizer = classifier()
    items, targets = labelled(tokenizer)
    best = BestWeightsCallback("eval_f1_macro", patience=2)
    trainer = trainer_of(
        model, tokenizer, items, targets, tmp_path, num_train_epochs=30, eval_strategy="epoch", learning_rate=0.05
    )
    trainer.add_callback(best)
    trainer.train()
    history = [line["eval_f1_macro"] for line in trainer.state.log_history if "eval_f1_macro" in line]
    assert best.best == max(history) and history[int(best.best_epoch) - 1] == best.best
    assert trainer.evaluate()["eval_f1_macro"] == pytest.approx(best.best)
    assert len(history) == 30 or len(history) == int(best.best_epoch) + 2


def test_a_score_that_is_no_number_is_never_the_best():
    model = torch.nn.Linear(1, 1, bias=False)
    best, control = BestWeightsCallback("eval_f1_macro", patience=2), TrainerControl()
    for epoch, value in enumerate([math.nan, 0.2, math.nan, 0.1]):
        torch.nn.init.constant_(model.weight, epoch)
        best.on_evaluate(None, TrainerState(epoch=epoch), control, {"eval_f1_macro": value}, model=model)
        assert control.should_training_stop == (epoch == 3)
    best.on_train_end(None, None, control, model=model)
    assert (best.best, best.best_epoch, model.weight.item()) == (0.2, 1, 1.0)


def test_padding_beyond_the_window_is_refused(classifier, labelled, tmp_path):
    model, tokenizer = classifier()
    items, targets = labelled(tokenizer)
    with pytest.raises(InputError, match="--pad_to_multiple_of 24 does not divide the model's window of 64"):
        trainer_of(model, tokenizer, items, targets, tmp_path, pad_to_multiple_of=24)
    trainer = trainer_of(model, tokenizer, items, targets, tmp_path, pad_to_multiple_of=16)
    assert next(iter(trainer.get_train_dataloader()))["input_ids"].shape[1] % 16 == 0


def test_the_head_has_a_learning_rate_of_its_own(classifier, labelled, tmp_path):
    model, tokenizer = classifier(window_pooling="attention")
    items, targets = labelled(tokenizer)
    trainer = trainer_of(model, tokenizer, items, targets, tmp_path, head_learning_rate=0.5)
    rates = {id(p): group["lr"] for group in trainer.create_optimizer().param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == (1e-2 if name.startswith("encoder.") else 0.5), name


def added_weights(encoder, method, rank):
    """Count what a method adds or trains, from the shapes of the layers."""
    linear = [module.weight.shape for module in encoder.modules() if isinstance(module, torch.nn.Linear)]
    norms = [module for module in encoder.modules() if isinstance(module, torch.nn.LayerNorm)]
    return {
        "lora": sum(rank * (rows + columns) for rows, columns in linear),
        "dora": sum(rank * (rows + columns) + rows for rows, columns in linear),
        "ia3": sum(max(rows, columns) for rows, columns in linear),
        "ln_tuning": sum(parameter.numel() for norm in norms for parameter in norm.parameters()),
    }[method]


@pytest.mark.parametrize("method", ADAPTERS)
def test_an_adapter_trains_its_own_weights_alone_and_merges(classifier, labelled, tmp_path, method, family):
    model, tokenizer = classifier(family, task="ordinal" if family == "bert" else "single_label")
    items, targets = labelled(tokenizer)
    head = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("encoder."))
    expected = head + added_weights(model.encoder, method, rank=2)
    adapted = add_adapter(model, method, rank=2)
    assert trained_parameters(adapted) == expected
    trainer = trainer_of(adapted, tokenizer, items, targets, tmp_path, max_steps=5)
    before = {name: parameter.detach().clone() for name, parameter in adapted.named_parameters()}
    trainable = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    own = {"ln_tuning": "ln_tuning_layers", "ia3": "ia3_l"}.get(method, "lora_")
    assert trainable and all(own in name for name in trainable if "encoder." in name)
    untrained = trainer.predict_probabilities(LabelledDocuments(items, targets))
    trainer.train()
    moved = {name for name, parameter in adapted.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == trainable
    after = trainer.predict_probabilities(LabelledDocuments(items, targets))
    assert np.abs(after - untrained).max() > 1e-3
    merged(adapted).save_pretrained(tmp_path / "out")
    tokenizer.save_pretrained(tmp_path / "out")
    loaded, facts = NoteClassifier.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not facts["missing_keys"] and not facts["unexpected_keys"]
    batch = loaded.collator(tokenizer)(items[:8])
    with torch.no_grad():
        found = loaded.eval().probabilities(loaded(**batch).logits)
    np.testing.assert_allclose(found, after[:8], rtol=1e-3, atol=1e-5)
    assert any(own in name for name, _ in adapted.named_parameters())  # the trained one is left as it was


def test_no_other_adapter_is_known(make_model):
    with pytest.raises(ValueError, match="prefix_tuning"):
        add_adapter(make_model("bert")[0], "prefix_tuning")


def test_values_out_of_range_are_refused():
    for options, message in [({"freeze": "some"}, "freeze"), ({"label_smoothing_factor": 1.0}, "label_smoothing")]:
        with pytest.raises(ValueError, match=message):
            ClassificationArguments("out", use_cpu=True, **options)
