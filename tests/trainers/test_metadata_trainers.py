"""Document metadata as a training signal: what moves, what is logged, what is saved, what evaluation says."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from collators import keep_long_enough, tokenize_documents
from corpora.errors import InputError
from metrics.classification import category_scores
from modeling.adapters import add_lora
from modeling.category_heads import CategoryHeads
from modeling.note_category_model import NoteCategoryModel
from modeling.pooling import pool
from trainers import DeclutrArguments, DeclutrTrainer, NoteCategoryArguments, NoteCategoryTrainer

COMMON = {
    "use_cpu": True,
    "disable_tqdm": True,
    "max_steps": 4,
    "per_device_train_batch_size": 4,
    "logging_steps": 1,
    "learning_rate": 1e-2,
    "lr_scheduler_type": "constant",
    "save_strategy": "no",
}
COLUMNS = ["note_category", "specialty", "flags"]


@pytest.fixture(scope="module")
def labelled(notes):
    """The made-up documents with a specialty (null in every fourth) and a list of flags."""
    count = len(notes)
    return notes.add_column(
        "specialty",
        [
            None if number % 4 == 0 else ["cardiology", "renal, adult", 'the "other"'][number % 3]
            for number in range(count)
        ],
    ).add_column("flags", [["urgent"] * (number % 2) + ["reviewed"] * (number % 3 == 0) for number in range(count)])


def note_category(make_model, notes, folder, family="bert", model=None, **options):
    plain, tokenizer = make_model(family)
    arguments = NoteCategoryArguments(
        str(folder), **{**COMMON, "category_columns": COLUMNS, "category_weight": 1.0, **options}
    )
    documents = tokenize_documents(notes, tokenizer, keep_columns=COLUMNS)
    return NoteCategoryTrainer(
        model or plain,
        arguments,
        processing_class=tokenizer,
        train_dataset=documents.select(range(24)),
        eval_dataset=documents.select(range(24, 40)),
    )


def combined(make_model, notes, folder, family="bert", model=None, **options):
    plain, tokenizer = make_model(family)
    spans = {"min_span_length": 4, "max_span_length": 24}
    arguments = DeclutrArguments(
        str(folder), **{**COMMON, **spans, "category_columns": COLUMNS, "category_weight": 1.0, **options}
    )
    documents, _ = keep_long_enough(
        tokenize_documents(notes, tokenizer, keep_columns=COLUMNS), arguments.span_options().min_document_length
    )
    return DeclutrTrainer(
        model or plain,
        arguments,
        processing_class=tokenizer,
        train_dataset=documents.select(range(24)),
        eval_dataset=documents.select(range(24, 40)),
    )


MAKERS = {"note_category": note_category, "combined": combined}
LOSSES = {
    "cross_entropy": {"category_loss": "cross_entropy", "category_head": "mlp", "category_head_dropout": 0.1},
    "supcon": {"category_loss": "supcon", "supcon_projection_size": 8},
}


@pytest.mark.parametrize("objective", MAKERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_parameter_moves_and_the_category_loss_falls(make_model, labelled, tmp_path, objective, loss, family):
    trainer = MAKERS[objective](make_model, labelled, tmp_path, family, max_steps=16, **LOSSES[loss])
    before = {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}
    heads = [name for name in before if "category_heads" in name]
    assert len(heads) == (12 if loss == "cross_entropy" else 6 + 8)
    # On the training documents, without dropout: the losses of sixteen steps vary more than they fall.
    first = trainer.evaluate(trainer.train_dataset)["eval_note_category_loss"]
    trainer.train()
    still = [name for name, parameter in trainer.model.named_parameters() if torch.equal(parameter, before[name])]
    assert still == []
    last = trainer.evaluate(trainer.train_dataset)["eval_note_category_loss"]
    if loss == "cross_entropy":
        assert last < first - 0.05


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("view", ["masked", "clean"])
def test_the_category_loss_alone_reaches_encoder_and_heads(make_model, labelled, tmp_path, loss, view):
    trainer = note_category(
        make_model,
        labelled,
        tmp_path,
        mlm_weight=0.0,
        category_view=view,
        category_columns=["note_category"],
        **LOSSES[loss],
    )
    batch = next(iter(trainer.get_train_dataloader()))
    terms = {term.name: term for term in trainer.loss_terms(trainer.model.train(), batch)}
    assert set(terms) == {"note_category"} | ({"note_category_probe"} if loss == "supcon" else set())
    encoder = list(trainer.model.base_model.parameters())
    gradients = torch.autograd.grad(terms["note_category"].total, encoder, allow_unused=True, retain_graph=True)
    assert sum(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients) > 20
    if loss == "supcon":  # a probe watches; it does not push
        probed = torch.autograd.grad(terms["note_category_probe"].total, encoder, allow_unused=True)
        assert all(gradient is None for gradient in probed)
    assert (batch["labels"] != -100).any().item() is (view == "masked")


def test_the_log_holds_every_term_and_the_total_is_their_weighted_sum(make_model, labelled, tmp_path):
    trainer = combined(
        make_model, labelled, tmp_path, mlm_weight=0.5, category_weight=0.2, category_column_weights=[1.0, 3.0, 0.5]
    )
    trainer.train()
    lines = [line for line in trainer.state.log_history if "loss" in line]
    assert len(lines) == 4
    for line in lines:
        total = line["contrastive_loss"] + 0.5 * line["mlm_loss"]
        total += 0.2 * line["note_category_loss"] + 0.6 * line["specialty_loss"] + 0.1 * line["flags_loss"]
        assert line["loss"] == pytest.approx(total, rel=1e-4)
        assert 0 <= line["note_category_accuracy"] <= 1 and "flags_accuracy" not in line


def test_the_category_loss_of_a_batch_equals_a_plain_reading(make_model, labelled, tmp_path):
    trainer = note_category(make_model, labelled, tmp_path, category_balance="inverse", per_device_train_batch_size=12)
    batch = next(iter(trainer.get_train_dataloader()))
    terms = {term.name: term for term in trainer.loss_terms(trainer.model.eval(), batch)}
    with torch.no_grad():
        hidden = trainer.model.base_model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])[0]
    embeddings = [row[mask.bool()].mean(0) for row, mask in zip(hidden, batch["attention_mask"], strict=True)]
    by_id = {row["document_key"]: row for row in trainer.train_dataset.documents}
    rows = [by_id[key] for key in batch["document_keys"].tolist()]
    names = trainer.train_dataset.documents.with_format(None)["specialty"][:]
    labels = sorted({name for name in names if name})
    losses = []
    for embedding, row in zip(embeddings, rows, strict=True):
        if row["specialty"] is not None:
            share = names.count(row["specialty"]) / sum(name is not None for name in names)
            linear = trainer.category_heads.heads[1][1]
            log_probabilities = F.log_softmax(linear.weight @ embedding + linear.bias, dim=0)
            losses.append(-log_probabilities[labels.index(row["specialty"])] / (share * len(labels)))
    assert 0 < len(losses) < len(rows)
    assert terms["specialty"].total.item() == pytest.approx(sum(losses).item(), rel=1e-4)
    assert int(terms["specialty"].count) == len(losses)


@pytest.mark.parametrize("loss", ["cross_entropy"])
def test_accumulation_8_x_1_equals_1_x_8(make_model, labelled, tmp_path, loss):
    options = {"max_steps": 3, "optim": "sgd", "category_loss": loss}
    whole = note_category(make_model, labelled, tmp_path / "a", per_device_train_batch_size=8, **options)
    parts = note_category(
        make_model, labelled, tmp_path / "b", per_device_train_batch_size=1, gradient_accumulation_steps=8, **options
    )
    whole.train()
    parts.train()
    for one, other in zip(whole.state.log_history, parts.state.log_history, strict=True):
        for name in ("loss", "mlm_loss", "note_category_loss", "specialty_loss", "flags_loss", "grad_norm"):
            if name in one:
                assert one[name] == pytest.approx(other[name], rel=1e-4), name
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("objective", MAKERS)
def test_validation_is_the_same_each_time_and_its_scores_choose_the_best_model(
    make_model, labelled, tmp_path, objective
):
    trainer = MAKERS[objective](
        make_model,
        labelled,
        tmp_path,
        category_columns=["note_category", "flags"],
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_note_category_loss",
        greater_is_better=False,
        max_steps=8,
    )
    first, second = trainer.evaluate(), trainer.evaluate()
    wanted = {"note_category_accuracy", "note_category_f1_macro", "note_category_silhouette", "note_category_loss"}
    wanted |= {"flags_accuracy", "flags_f1_macro", "note_category_unseen", "flags_unseen"}
    assert {f"eval_{name}" for name in wanted} <= set(first)
    assert {name: first[name] for name in first if "per_second" not in name and "runtime" not in name} == {
        name: second[name] for name in second if "per_second" not in name and "runtime" not in name
    }
    trainer.train()
    history = [line["eval_note_category_loss"] for line in trainer.state.log_history if "eval_loss" in line]
    assert trainer.evaluate()["eval_note_category_loss"] == pytest.approx(min(history), rel=1e-6)


def test_evaluation_scores_are_those_of_the_documents(make_model, labelled, tmp_path):
    """Recomputed document by document on an unmasked view, where the collator's input is the document itself."""
    short = labelled.map(lambda note: {"text": " ".join(note["text"].split()[:12])})
    trainer = note_category(make_model, short, tmp_path, category_view="clean", learning_rate=0.05, max_steps=8)
    trainer.train()
    metrics = trainer.evaluate()
    trainer.export(tmp_path / "out")
    model = NoteCategoryModel.from_pretrained(tmp_path / "out", device="cpu")
    validation = short.select(range(24, 40))
    probabilities = model.predict(validation["text"][:])
    assert model.labels["specialty"] == ("cardiology", "renal, adult", 'the "other"')
    np.testing.assert_allclose(probabilities["note_category"].sum(1), 1, rtol=1e-5)
    for column in ("note_category", "specialty"):
        known = np.array([value is not None for value in validation[column]])
        targets = np.array([model.labels[column].index(value) for value in validation[column] if value is not None])
        scores = category_scores(probabilities[column][known], targets)
        assert metrics[f"eval_{column}_accuracy"] == pytest.approx(scores["accuracy"])
        assert metrics[f"eval_{column}_f1_macro"] == pytest.approx(scores["f1_macro"])
    flags = np.array(
        [[label in value for label in model.labels["flags"]] for value in validation["flags"]], dtype=float
    )
    assert metrics["eval_flags_f1_macro"] == pytest.approx(category_scores(probabilities["flags"], flags)["f1_macro"])


def test_categories_that_training_has_not_are_reported(make_model, labelled, tmp_path, caplog):
    changed = labelled.map(
        lambda note, number: {
            "note_category": ("Consult" if number > 36 else "Echo") if number >= 36 else note["note_category"],
            "flags": [*note["flags"], "closed", "closed"] if number < 28 and number >= 24 else note["flags"],
        },
        with_indices=True,
    )
    trainer = note_category(make_model, changed, tmp_path)
    assert trainer.unseen_categories == {
        "note_category": {"Consult": 3, "Echo": 1},
        "specialty": {},
        "flags": {"closed": 4},
    }
    for message in (
        "values of note_category that no training document has occur in validation documents (2 values, 4 times)",
        "values of flags that no training document has occur in validation documents (1 values, 4 times)",
    ):
        assert message in caplog.text
    assert "Consult" not in caplog.text and "closed" not in caplog.text and "specialty" not in caplog.text
    metrics = trainer.evaluate()
    unseen = {name: value for name, value in metrics.items() if "unseen" in name}
    assert unseen == {"eval_note_category_unseen": 4, "eval_specialty_unseen": 0, "eval_flags_unseen": 4}
    assert np.isfinite(metrics["eval_loss"])


def test_a_list_column_of_one_label_trains_as_a_yes_or_no(make_model, labelled, tmp_path):
    single = labelled.map(lambda note: {"flags": [flag for flag in note["flags"] if flag == "urgent"]})
    trainer = note_category(
        make_model, single, tmp_path, category_columns=["flags"], category_balance="inverse", max_steps=8
    )
    assert trainer.columns[0].labels == ("urgent",) and trainer.columns[0].counts == (12,)
    before = [parameter.detach().clone() for parameter in trainer.category_heads.parameters()]
    trainer.train()
    assert all(
        not torch.equal(one, other) for one, other in zip(before, trainer.category_heads.parameters(), strict=True)
    )
    metrics = trainer.evaluate()
    assert 0 <= metrics["eval_flags_accuracy"] <= 1 and np.isfinite(metrics["eval_flags_loss"])
    trainer.export(tmp_path)
    model = NoteCategoryModel.from_pretrained(tmp_path, device="cpu")
    assert model.predict(single["text"][:3])["flags"].shape == (3, 1)


def test_the_contrastive_category_loss_leaves_spans_of_one_document_apart(make_model, labelled, tmp_path):
    trainer = combined(make_model, labelled, tmp_path, category_loss="supcon", supcon_temperature=0.2)
    batch = next(iter(trainer.get_train_dataloader()))
    assert len(set(batch["document_keys"].tolist())) == 4 and len(batch["document_keys"]) == 8
    model = trainer.model.eval()
    terms = {term.name: term for term in trainer.loss_terms(model, batch)}
    with torch.no_grad():
        hidden, _ = trainer.forward(model, batch)
        anchors = pool(hidden, batch["attention_mask"])[batch["anchor_rows"]]
        unit = F.normalize(anchors.double(), dim=1)
    scores, keys, kinds = (unit @ unit.T / 0.2).exp(), batch["document_keys"], batch["categories"]["note_category"]
    losses = []
    for row in range(8):
        others = [other for other in range(8) if keys[other] != keys[row]]
        total = sum(scores[row, other] for other in others)
        shares = [(scores[row, other] / total).log() for other in others if kinds[other] == kinds[row]]
        losses += [-sum(shares).item() / len(shares)] if shares else []
    assert len(losses) > 3
    assert terms["note_category"].total.item() == pytest.approx(sum(losses), rel=1e-4)
    assert int(terms["note_category"].count) == len(losses)


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("objective", MAKERS)
def test_the_folder_loads_everywhere_and_gives_the_heads_back(make_model, labelled, tmp_path, family, objective, lora):
    if lora and family != "bert":
        pytest.skip("the heads stand outside the adapter")
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

    model = add_lora(make_model(family)[0], 2) if lora else None
    trainer = MAKERS[objective](make_model, labelled, tmp_path, family, model, save_strategy="steps", save_steps=2)
    trainer.train()
    trainer.export(tmp_path)
    texts = [" ".join(text.split()[:10]) for text in labelled["text"][:3]]
    for folder in [tmp_path] if lora else [tmp_path, tmp_path / "checkpoint-4"]:
        encoder, loading = AutoModel.from_pretrained(folder, output_loading_info=True)
        assert not [name for name in loading["unexpected_keys"] if "category" in name]
        _, loading = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
        assert not loading["unexpected_keys"] and not loading["missing_keys"]
        batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
        batch = {name: batch[name] for name in ("input_ids", "attention_mask")}
        with torch.no_grad():
            embeddings = pool(encoder.eval()(**batch)[0], batch["attention_mask"])
            expected = trainer.category_heads.eval().probabilities(embeddings)
        vectors = SentenceTransformer(str(folder), device="cpu").encode(texts)
        np.testing.assert_allclose(vectors, embeddings.numpy(), rtol=1e-4, atol=1e-5)
        probabilities = NoteCategoryModel.from_pretrained(folder, device="cpu").predict(texts)
        for column in COLUMNS:
            np.testing.assert_allclose(probabilities[column], expected[column].numpy(), rtol=1e-3, atol=1e-4)
    assert "category_heads" in dict(trainer.model.named_modules())
    assert not list(tmp_path.glob("*partial*"))


def test_a_checkpoint_without_heads_says_so(make_model, labelled, tmp_path):
    trainer = combined(make_model, labelled, tmp_path, category_columns=[], category_weight=0.1)
    assert trainer.category_heads is None
    trainer.export(tmp_path)
    with pytest.raises(InputError, match="no category heads"):
        NoteCategoryModel.from_pretrained(tmp_path)


def test_without_masked_lm_loss_its_head_stays_and_the_category_heads_move(make_model, labelled, tmp_path):
    trainer = note_category(make_model, labelled, tmp_path, mlm_weight=0.0, weight_decay=0.5)
    before = {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}
    trainer.train()
    still = {name for name, parameter in trainer.model.named_parameters() if torch.equal(parameter, before[name])}
    assert still == {name for name in before if name.startswith("cls.")} != set()


def test_the_head_learning_rate_reaches_the_category_heads(make_model, labelled, tmp_path):
    trainer = note_category(make_model, labelled, tmp_path, head_learning_rate=0.5)
    rates = {id(p): group["lr"] for group in trainer.create_optimizer().param_groups for p in group["params"]}
    for name, parameter in trainer.model.named_parameters():
        assert rates[id(parameter)] == (0.5 if name.startswith(("cls.", "category_heads.")) else 1e-2), name


def test_balanced_sampling_evens_the_batches_out(make_model, labelled, tmp_path):
    rare = labelled.map(lambda note, number: {"note_category": "Echo" if number == 3 else "Nursing"}, with_indices=True)
    options = {"category_columns": ["note_category"], "per_device_train_batch_size": 24}
    shares = {}
    for balance in ("none", "sampling"):
        trainer = note_category(
            make_model, rare, tmp_path, category_balance=balance, sampling_temperature=float("inf"), **options
        )
        batch = next(iter(trainer.get_train_dataloader()))
        echo = batch["categories"]["note_category"].eq(0)
        shares[balance] = echo.float().mean().item()
    assert shares == {"none": pytest.approx(1 / 24), "sampling": 0.5}
    # The one document of its category is there twelve times, each time otherwise masked or another part of it.
    assert len(set(batch["document_keys"][echo].tolist())) == 1
    rows = [tuple(row.tolist()) for row in batch["input_ids"][echo]]
    assert len(rows) == len(set(rows)) == 12
    sampler = trainer._get_train_sampler()
    assert len(set(sampler)) == len(list(sampler)) == 24 and max(sampler) >= 11 * 24


def test_balanced_batches_keep_the_documents_without_a_category(make_model, labelled, tmp_path):
    kept = labelled.map(
        lambda note, number: {"note_category": None if number % 2 else ["Echo", "Nursing"][number < 22]},
        with_indices=True,
    )
    trainer = note_category(
        make_model,
        kept,
        tmp_path,
        category_columns=["note_category"],
        category_balance="sampling",
        sampling_temperature=float("inf"),
        per_device_train_batch_size=24,
    )
    assert trainer.columns[0].counts == (1, 11)
    targets = next(iter(trainer.get_train_dataloader()))["categories"]["note_category"].tolist()
    assert [targets.count(number) for number in (-100, 0, 1)] == [12, 6, 6]


def test_batches_of_one_category(make_model, labelled, tmp_path):
    trainer = combined(make_model, labelled, tmp_path, one_category_batches=True, category_columns=["note_category"])
    seen = [set(batch["categories"]["note_category"].tolist()) for batch in trainer.get_train_dataloader()]
    assert len(seen) == 6 and all(len(categories) == 1 for categories in seen[:-1])
    assert set.union(*seen) == {0, 1}


def test_the_same_category_can_be_left_out_of_the_negatives(make_model, labelled, tmp_path):
    losses, batch = {}, None
    for policy in ("negative", "ignore", "positive"):
        trainer = combined(
            make_model,
            labelled,
            tmp_path,
            same_category=policy,
            category_columns=["note_category"],
            category_weight=0.0,
        )
        assert trainer.category_heads is None
        batch = batch or next(iter(trainer.get_train_dataloader()))
        (contrastive, _) = trainer.loss_terms(trainer.model.eval(), batch)
        losses[policy] = contrastive.total.item()
    assert losses["ignore"] < losses["negative"]
    assert len(set(losses.values())) == 3


def test_resuming_takes_the_heads_along(make_model, labelled, tmp_path):
    options = {"save_strategy": "steps", "save_steps": 2, "max_steps": 6, "category_head": "mlp"}
    whole = note_category(make_model, labelled, tmp_path, **options)
    whole.train()
    again = note_category(make_model, labelled, tmp_path, **options)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    for (name, one), other in zip(whole.model.named_parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other), name
    heads = CategoryHeads.from_pretrained(tmp_path / "checkpoint-6")
    for one, other in zip(heads.parameters(), whole.category_heads.parameters(), strict=True):
        assert torch.equal(one, other)
    config = json.loads((tmp_path / "checkpoint-6" / "category_heads" / "config.json").read_text())
    assert config["columns"][1]["labels"] == ["cardiology", "renal, adult", 'the "other"']


@pytest.mark.parametrize("objective", MAKERS)
def test_bf16_and_gradient_checkpointing_train(make_model, labelled, tmp_path, objective):
    plain = MAKERS[objective](make_model, labelled, tmp_path / "a", category_loss="supcon")
    mixed = MAKERS[objective](
        make_model, labelled, tmp_path / "b", category_loss="supcon", gradient_checkpointing=True, bf16=True
    )
    plain.train()
    mixed.train()
    one, other = (trainer.state.log_history[0] for trainer in (plain, mixed))
    for name in ("loss", "note_category_loss", "specialty_probe_loss", "flags_loss"):
        assert one[name] == pytest.approx(other[name], rel=0.03), name
    assert all(parameter.dtype == torch.float32 for parameter in mixed.model.parameters())


def test_columns_are_looked_up_in_the_training_documents(make_model, labelled, tmp_path):
    with pytest.raises(InputError, match=r"column 'ward'.*is missing|the column is missing"):
        note_category(make_model, labelled, tmp_path, category_columns=["ward"])
    with pytest.raises(InputError, match="window of 64; set it to 64 or less"):
        note_category(make_model, labelled, tmp_path, max_length=65)
    with pytest.raises(InputError, match="column of lists"):
        note_category(
            make_model, labelled, tmp_path, category_columns=["flags"], category_balance="sampling"
        ).get_train_dataloader()


@pytest.mark.parametrize("objective", MAKERS)
def test_a_projection_for_columns_of_lists_alone_is_refused(make_model, labelled, tmp_path, objective):
    options = {"category_loss": "supcon", "supcon_projection_size": 4}
    with pytest.raises(InputError, match=r"no column has a contrastive loss .*; leave out --supcon_projection_size"):
        MAKERS[objective](make_model, labelled, tmp_path, category_columns=["flags"], **options)
    mixed = MAKERS[objective](make_model, labelled, tmp_path, category_columns=["flags", "specialty"], **options)
    sizes = [sum(p.numel() for p in projection.parameters()) for projection in mixed.category_heads.projections]
    assert sizes == [0, (16 + 1) * 16 + (16 + 1) * 4]


@pytest.mark.parametrize("objective", MAKERS)
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_padding_beyond_the_window_is_refused(make_model, labelled, tmp_path, objective, family):
    make = MAKERS[objective]
    for multiple in (24, 128):
        with pytest.raises(InputError) as caught:
            make(make_model, labelled, tmp_path, family, pad_to_multiple_of=multiple)
        message = (
            f"--pad_to_multiple_of {multiple} does not divide the model's window of 64, which padding could exceed"
        )
        assert str(caught.value) == f"{message}; give a divisor of 64"
    for multiple in (16, 64):
        trainer = make(make_model, labelled, tmp_path, family, pad_to_multiple_of=multiple)
        batch = next(iter(trainer.get_train_dataloader()))
        assert batch["input_ids"].shape[1] % multiple == 0 and batch["input_ids"].shape[1] <= 64
        assert all(term.total.isfinite() for term in trainer.loss_terms(trainer.model, batch))


def test_a_term_without_documents_counts_nothing(make_model, labelled, tmp_path):
    trainer = note_category(make_model, labelled, tmp_path, category_columns=["note_category"])
    unknown = [{**trainer.eval_dataset.documents[place], "note_category": None} for place in range(4)]
    found = trainer.evaluate(unknown)
    assert found["eval_loss"] == pytest.approx(found["eval_mlm_loss"]) and "eval_note_category_loss" not in found
