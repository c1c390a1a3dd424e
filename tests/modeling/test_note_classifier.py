"""The document classifier: loading, windows, freezing, tasks, and what the frozen part gives."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from collators.classification import ClassificationCollator, LabelledDocuments, collate_frozen
from collators.reading import ReadingPlan, read_document
from collators.special_tokens import token_ids
from corpora.errors import InputError
from modeling.classification_loss import classification_losses, ordinal_log_probabilities
from modeling.document_encoder import DocumentEncoder
from modeling.frozen_features import can_be_cached, embed_documents, store_boundary_states
from modeling.note_classifier import NoteClassifier, NoteClassifierConfig
from modeling.sentence_transformers_files import write_sentence_transformers_files

LABELS = ["Cardiology", "Neurology", "Renal"]


@pytest.fixture
def checkpoint(make_model, tmp_path):
    """Return a function: family -> folder of a tiny masked language model with sentence-transformers files."""

    def make(family="bert", dropout=0.0):
        model, tokenizer = make_model(family, dropout=dropout)
        folder = tmp_path / family
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_sentence_transformers_files(folder, 16, 64)
        return folder, tokenizer

    return make


def documents(notes, tokenizer, count=6):
    return [{"input_ids": ids} for ids in token_ids(tokenizer, notes["text"][:count])]


def test_a_window_more_gives_the_mean_of_windows_that_documents_have_when_encoded(checkpoint, notes, family):
    folder, _ = checkpoint(family)
    classifier = NoteClassifier.from_encoder(folder, LABELS)
    texts = notes["text"][:6]
    embeddings = torch.from_numpy(DocumentEncoder.from_pretrained(folder, device="cpu").encode(texts))
    with torch.no_grad():
        expected = classifier.eval().probabilities(classifier(document_embeddings=embeddings).logits)
    np.testing.assert_allclose(classifier.predict(texts, batch_size=4), expected.numpy(), rtol=1e-4, atol=1e-6)
    assert not [name for name, _ in classifier.named_parameters() if "pooler" in name]


@pytest.mark.parametrize("first", ["modeling", "transformers"])
def test_auto_model_and_pipeline_load_it(checkpoint, notes, family, first, tmp_path):
    if first == "modeling" and family != "bert":
        pytest.skip("the order of imports does not depend on the family")
    import subprocess
    import sys

    folder, tokenizer = checkpoint(family)
    classifier = NoteClassifier.from_encoder(folder, LABELS, max_windows=4)
    classifier.save_pretrained(tmp_path / "out")
    tokenizer.save_pretrained(tmp_path / "out")
    text = " ".join(notes["text"][0].split()[:20])
    wanted = classifier.predict([text])[0]
    if first == "modeling":
        program = (
            "import modeling\n"
            "from transformers import AutoModelForSequenceClassification\n"
            f"print(type(AutoModelForSequenceClassification.from_pretrained({str(tmp_path / 'out')!r})).__name__)"
        )
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert result.stdout.strip() == "NoteClassifier", result.stderr[-1000:]
        return
    from transformers import AutoModelForSequenceClassification, pipeline

    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert isinstance(loaded, NoteClassifier) and loaded.config.id2label == dict(enumerate(LABELS))
    np.testing.assert_allclose(loaded.predict([text])[0], wanted, rtol=1e-5)
    found = pipeline("text-classification", model=str(tmp_path / "out"), device="cpu", top_k=None)(text)[0]
    assert {row["label"]: pytest.approx(row["score"], rel=1e-4) for row in found} == dict(
        zip(LABELS, wanted.tolist(), strict=True)
    )


def test_the_ways_of_reading_literally():
    ids = np.arange(100)

    def read(reading, **options):
        return [part.tolist() for part in read_document(ids, ReadingPlan(reading, 22, **options), 2)]

    assert read("head") == [list(range(20))]
    assert read("head_tail") == [[*range(5), *range(85, 100)]]
    assert read("windows") == [list(range(start, start + 20)) for start in range(0, 100, 20)]
    assert read("windows", overlap=10)[:2] == [list(range(20)), list(range(10, 30))]
    assert [part[0] for part in read("windows", max_windows=3)] == [0, 40, 80]
    assert read_document(ids[:7], ReadingPlan("head_tail", 22), 2)[0].tolist() == list(range(7))
    with pytest.raises(ValueError, match="overlap"):
        ReadingPlan("windows", 22, overlap=12)


def test_attention_over_windows_equals_a_plain_loop(checkpoint, notes):
    folder, tokenizer = checkpoint("bert")
    classifier = NoteClassifier.from_encoder(folder, LABELS, window_pooling="attention").eval()
    batch = classifier.collator(tokenizer)(documents(notes, tokenizer))
    counts = np.bincount(batch["window_documents"])
    assert counts.max() > 1
    with torch.no_grad():
        windows = classifier.embed(batch["input_ids"], batch["attention_mask"])
        found = classifier.embed(**batch)
        for number in range(len(counts)):
            own = windows[batch["window_documents"] == number]
            shares = classifier.window_attention(own).squeeze(1).softmax(0)
            torch.testing.assert_close(found[number], (shares[:, None] * own).sum(0), rtol=1e-5, atol=1e-6)
    assert not can_be_cached(classifier)


def test_losses_equal_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 4, generator=generator)
    labels = torch.tensor([0, 3, 1, 1, 2, 0, 3])
    weights = torch.tensor([0.5, 1.0, 2.0, 0.25])
    found = classification_losses(logits, labels, "single_label", weights, 0.1)
    for row in range(7):
        log_shares = (logits[row] - logits[row].exp().sum().log()) * weights
        expected = -(0.9 * log_shares[labels[row]] + 0.1 / 4 * log_shares.sum())
        assert found[row].item() == pytest.approx(expected.item(), rel=1e-5)
    several = torch.tensor([[1, 0, 0, 1]] * 7)
    found = classification_losses(logits, several, "multi_label", weights, 0.2)
    for row in range(7):
        total = 0.0
        for column in range(4):
            share, target = logits[row, column].sigmoid(), 0.9 if several[row, column] else 0.1
            total -= weights[column] * (target * share.log() + (1 - target) * (1 - share).log())
        assert found[row].item() == pytest.approx(total.item() / 4, rel=1e-5)
    with pytest.raises(ValueError, match="unknown task"):
        classification_losses(logits, labels, "regression")


def test_ordinal_probabilities_are_differences_of_cumulative_ones(checkpoint, notes):
    scores = torch.tensor([[2.0, 0.5, -1.0], [0.0, 0.0, -3.0]])
    above = scores.sigmoid()
    expected = [[1 - a[0], a[0] - a[1], a[1] - a[2], a[2]] for a in above]
    for found, row in zip(ordinal_log_probabilities(scores), expected, strict=True):
        np.testing.assert_allclose(found.exp().tolist(), [float(value) for value in row], atol=1e-6)
    folder, _ = checkpoint("bert")
    classifier = NoteClassifier.from_encoder(folder, ["mild", "moderate", "severe", "death"], task="ordinal")
    found = classifier.predict(notes["text"][:3])
    assert found.shape == (3, 4)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    # Thresholds stay in order whatever the parameters are.
    with torch.no_grad():
        classifier.thresholds.weight.normal_(std=3)
        classifier.classifier.weight.mul_(20)
    assert np.isfinite(np.log(classifier.predict(notes["text"][:3]))).all()


@pytest.mark.parametrize("depth", ["none", "embeddings", "1", "2", "all"])
def test_freezing_stops_gradients_and_dropout(checkpoint, notes, family, depth):
    folder, tokenizer = checkpoint(family, dropout=0.3)
    classifier = NoteClassifier.from_encoder(folder, LABELS).train()
    classifier.freeze(depth)
    batch = classifier.collator(tokenizer)(documents(notes, tokenizer))
    classifier(**batch, labels=torch.tensor([0, 1, 2, 0, 1, 2])).loss.backward()
    moving = {name for name, parameter in classifier.named_parameters() if parameter.grad is not None}
    trainable = {name for name, parameter in classifier.named_parameters() if parameter.requires_grad}
    assert {name for name in trainable if name.startswith("encoder.")} <= trainable
    assert moving == trainable and {"classifier.weight", "classifier.bias"} <= moving
    encoder = {name for name in moving if name.startswith("encoder.")}
    layers = {"none": 2, "embeddings": 2, "1": 1, "2": 0, "all": 0}[depth]
    assert bool([name for name in encoder if "embed" in name]) == (depth == "none")
    found = {part for name in encoder for part in name.split(".") if part.isdecimal()}
    assert len(found - {"LayerNorm"}) == layers
    with torch.no_grad():
        same = torch.equal(classifier.embed(**batch), classifier.embed(**batch))
    assert same == (depth in ("2", "all"))
    with pytest.raises(InputError, match="the encoder has 2 layers; give 2 or less"):
        classifier.freeze(3)
    with pytest.raises(InputError, match="no depth"):
        classifier.freeze("some")


@pytest.mark.parametrize("depth", ["embeddings", "1", "2", "all"])
def test_stored_features_give_the_same_logits(checkpoint, notes, family, depth, tmp_path):
    folder, tokenizer = checkpoint(family, dropout=0.1)
    classifier = NoteClassifier.from_encoder(folder, LABELS)
    classifier.freeze(depth)
    assert can_be_cached(classifier)
    collator, read = classifier.collator(tokenizer), documents(notes, tokenizer)
    if depth == "all":
        items = [{"document_embeddings": row} for row in embed_documents(classifier, read, collator, 4)]
    else:
        items = store_boundary_states(classifier, read, collator, tmp_path / "states.f32", 4)
    labels = np.array([0, 1, 2, 0, 1, 2])
    plain = collator([{**item, "labels": label} for item, label in zip(read, labels, strict=True)])
    stored = collate_frozen([LabelledDocuments(items, labels)[number] for number in range(6)])
    assert torch.equal(stored["labels"], plain["labels"])
    classifier.eval()
    one, other = classifier(**plain), classifier(**stored)
    torch.testing.assert_close(other.logits, one.logits, rtol=1e-4, atol=1e-5)
    # Their gradients too.
    wanted = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
    for first, second in zip(
        torch.autograd.grad(one.loss, wanted), torch.autograd.grad(other.loss, wanted), strict=True
    ):
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-5)


def test_windows_weigh_by_the_documents_own_tokens(checkpoint, notes):
    folder, tokenizer = checkpoint("bert")
    classifier = NoteClassifier.from_encoder(folder, LABELS).eval()
    collator = ClassificationCollator(tokenizer, ReadingPlan("windows", 64))
    ids = documents(notes, tokenizer, 1)[0]["input_ids"][:70]  # 62 tokens and 8
    batch = collator([{"input_ids": ids}])
    assert batch["window_tokens"].tolist() == [62, 8]
    with torch.no_grad():
        windows = classifier.embed(batch["input_ids"], batch["attention_mask"])
        expected = (62 * windows[0] + 8 * windows[1]) / 70
        torch.testing.assert_close(classifier.embed(**batch)[0], expected, rtol=1e-5, atol=1e-6)


def test_unknown_settings_are_refused():
    for name in ("task", "pooling", "window_pooling", "head"):
        with pytest.raises(ValueError, match=f"{name} must be one of"):
            NoteClassifierConfig(**{name: "other"})


def test_return_dict_and_loss(checkpoint, notes):
    folder, tokenizer = checkpoint("bert")
    classifier = NoteClassifier.from_encoder(folder, LABELS).eval()
    batch = tokenizer(notes["text"][:3], padding=True, truncation=True, max_length=64, return_tensors="pt")
    labels = torch.tensor([2, 0, 1])
    loss, logits = classifier(**batch, labels=labels, return_dict=False)
    assert loss.item() == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)
    assert classifier(**batch).logits.shape == (3, 3)


def test_the_saved_configuration_does_not_tell_where_the_encoder_lay(make_encoder, tmp_path):
    folder = make_encoder("bert")
    NoteClassifier.from_encoder(folder, ["a", "b"]).save_pretrained(tmp_path / "saved")
    assert str(folder) not in (tmp_path / "saved" / "config.json").read_text()


@pytest.mark.parametrize("score", [5.0, 12.0, 16.0, 20.0, 40.0])
def test_the_ordinal_loss_of_large_scores_is_that_of_double_precision(score):
    scores = torch.tensor([[score, score - 0.5, score - 1.0]], requires_grad=True)
    loss = classification_losses(ordinal_log_probabilities(scores), torch.tensor([1]), "ordinal").sum()
    exact = scores.detach().double().requires_grad_()
    apart = torch.log1p(-torch.exp(exact[:, 1] - exact[:, 0]))
    expected = -(F.logsigmoid(exact[:, 0]) + F.logsigmoid(-exact[:, 1]) + apart).sum()
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(scores.grad.double(), exact.grad, rtol=1e-4, atol=1e-6)


def test_another_depth_takes_the_place_of_the_one_before(checkpoint):
    classifier = NoteClassifier.from_encoder(checkpoint()[0], LABELS)
    every = sum(parameter.numel() for parameter in classifier.parameters() if parameter.requires_grad)
    trained = []
    for depth in ("all", "1", "none"):
        classifier.freeze(depth)
        trained.append(sum(parameter.numel() for parameter in classifier.parameters() if parameter.requires_grad))
    assert trained[0] < trained[1] < trained[2] == every


def test_what_sentence_transformers_saves_is_read(make_model, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    model, tokenizer = make_model("bert")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    encoder = SentenceTransformer(modules=[Transformer(str(tmp_path / "model")), Pooling(16, "cls")], device="cpu")
    encoder.max_seq_length = 20
    encoder.save_pretrained(str(tmp_path / "saved"))
    config = NoteClassifier.from_encoder(tmp_path / "saved", LABELS).config
    assert (config.pooling, config.window_length) == ("cls", 20)


def test_no_texts_have_no_classes(checkpoint):
    assert NoteClassifier.from_encoder(checkpoint()[0], LABELS).predict([]).shape == (0, 3)


def sentence_transformer(make_model, folder, *, length, inner=""):
    """Save an encoder with cls pooling as sentence-transformers does, the encoder in an inner folder or not."""
    model, tokenizer = make_model("bert")
    for one in (model, tokenizer):
        one.save_pretrained(folder / inner)
    module = "sentence_transformers.models"
    modules = [{"idx": 0, "name": "0", "path": inner, "type": f"{module}.Transformer"}]
    modules += [{"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{module}.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / inner / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": length}))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    )
    return folder


@pytest.mark.parametrize("inner", ["", "0_Transformer"])
@pytest.mark.parametrize(("length", "read"), [(24, 24), (512, 64)])
def test_a_classifier_reads_as_its_encoder_does(make_model, tmp_path, inner, length, read):
    folder = sentence_transformer(make_model, tmp_path / "saved", length=length, inner=inner)
    classifier = NoteClassifier.from_encoder(folder, LABELS)
    assert classifier.config.window_length == DocumentEncoder.from_pretrained(folder, device="cpu").max_length == read
    assert classifier.config.pooling == "cls"
    assert classifier.predict(["word " * 300]).shape == (1, 3)


def test_a_name_on_the_hub_is_read_as_its_folder(make_model, tmp_path, monkeypatch):
    snapshots = tmp_path / "hub" / "models--acme--clinical" / "snapshots"
    sentence_transformer(make_model, snapshots / ("a" * 40), length=24)
    (snapshots.parent / "refs").mkdir()
    (snapshots.parent / "refs" / "main").write_text("a" * 40)
    for place in (
        "huggingface_hub.constants.HF_HUB_CACHE",
        "huggingface_hub._snapshot_download.constants.HF_HUB_CACHE",
    ):
        monkeypatch.setattr(place, str(tmp_path / "hub"))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    config = NoteClassifier.from_encoder("acme/clinical", LABELS).config
    assert (config.pooling, config.window_length) == ("cls", 24)


@pytest.mark.parametrize("task", ["single_label", "ordinal"])
def test_one_class_is_no_choice(checkpoint, task):
    with pytest.raises(InputError, match="at least two classes"):
        NoteClassifier.from_encoder(checkpoint()[0], ["only"], task=task)
    assert NoteClassifier.from_encoder(checkpoint()[0], ["only"], task="multi_label").predict(["a"]).shape == (1, 1)
