"""Training a tagger: what moves, what a step is, its scores, rates of its own, LoRA."""

import numpy as np
import pytest
import torch

from collators.tagged_sentences import ResampledSentences, TaggedSentences, tag_numbers
from collators.tagging import tokenize_sentences
from metrics.entity_scores import spans_by_document
from metrics.tagging_scores import score_documents
from modeling.adapters import add_lora, merged
from modeling.tagger import TokenTagger
from modeling.tagger_prediction import tag_sentences
from trainers.best_weights import BestWeightsCallback
from trainers.tagging_arguments import TaggingArguments
from trainers.tagging_trainer import TaggingTrainer

COMMON = {
    "use_cpu": True,
    "disable_tqdm": True,
    "report_to": [],
    "save_strategy": "no",
    "learning_rate": 1e-2,
    "lr_scheduler_type": "constant",
    "per_device_train_batch_size": 8,
    "logging_steps": 1,
    "max_grad_norm": 0.0,
}


@pytest.fixture
def tagger(make_model, tmp_path):
    """Return a function: settings -> a tagger on a tiny encoder, without dropout."""

    def make(family="bert", **settings):
        model, tokenizer = make_model(family)
        model.save_pretrained(tmp_path / family)
        tokenizer.save_pretrained(tmp_path / family)
        torch.manual_seed(0)
        return TokenTagger.from_encoder(tmp_path / family, ["Drug", "Sign"], tagger_dropout=0.0, **settings)

    return make


def sentences_and_tags(count=48):
    """Aspirin and metoprolol are drugs; chest pain is a sign of two words; fever is one of one word."""
    random = np.random.default_rng(0)
    known = {"aspirin": ["B-Drug"], "metoprolol": ["B-Drug"], "fever": ["B-Sign"], "chest pain": ["B-Sign", "I-Sign"]}
    other = "the patient was admitted with no plan continue review in clinic".split()
    sentences, tags = [], []
    for _ in range(count):
        words, own = [], []
        for _ in range(int(random.integers(2, 14))):
            if random.random() < 0.3:
                piece = str(random.choice(list(known)))
                words += piece.split()
                own += known[piece]
            else:
                words.append(str(random.choice(other)))
                own.append("O")
        sentences.append(words)
        tags.append(own)
    return sentences, tags


def dataset_of(model, sentences, tags):
    numbers = [tag_numbers(own, model.config.tags, model.config.scheme) for own in tags]
    return TaggedSentences(tokenize_sentences(sentences, model.tokenizer()), numbers)


def trainer_of(model, data, folder, tokenizer=None, **options):
    inner = model if tokenizer is None else None
    return TaggingTrainer(
        model,
        TaggingArguments(str(folder), **{**COMMON, **options}),
        tokenizer or inner.tokenizer(),
        train_dataset=data,
        eval_dataset=getattr(data, "documents", data),
    )


@pytest.mark.parametrize("use_crf", [True, False])
@pytest.mark.parametrize("freeze", ["none", "embeddings", "1", "all"])
def test_what_is_not_frozen_moves_and_nothing_else(tagger, tmp_path, freeze, use_crf):
    model = tagger(use_crf=use_crf)
    data = dataset_of(model, *sentences_and_tags())
    trainer = trainer_of(model, data, tmp_path, freeze=freeze, max_steps=8)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    trainer.train()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == trainable
    assert (freeze == "none") == (moved == set(before))
    assert any(name.startswith("crf.") for name in moved) == use_crf


@pytest.mark.parametrize("settings", [{}, {"use_crf": False}, {"scheme": "BIOES"}])
def test_it_learns_and_reports_strict_scores(tagger, tmp_path, settings):
    model = tagger(**settings)
    sentences, tags = sentences_and_tags()
    data = dataset_of(model, sentences, tags)
    trainer = trainer_of(model, data, tmp_path, num_train_epochs=25)
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    assert after["eval_loss"] < before["eval_loss"]
    assert after["eval_f1_micro"] > 0.95
    found = [one.tags for one in tag_sentences(model, data.sentences)]
    names = [str(number) for number in range(len(tags))]
    scores = score_documents(*(list(spans_by_document(each, names).values()) for each in (tags, found)))
    for name in ("f1_micro", "f1_macro", "precision_micro", "recall_micro", "predicted_entities"):
        assert after[f"eval_{name}"] == pytest.approx(scores[name])


@pytest.mark.parametrize("use_crf", [True, False])
def test_accumulation_8_x_1_equals_1_x_8(tagger, tmp_path, use_crf):
    losses, trained = [], []
    for batch, steps in ((8, 1), (1, 8)):
        model = tagger(use_crf=use_crf)
        sentences, tags = sentences_and_tags()
        tags[3] = ["B-Other"] * len(tags[3])  # a type that the model lacks: nothing of this sentence counts
        data = dataset_of(model, sentences, tags)
        trainer = trainer_of(
            model,
            data,
            tmp_path,
            max_steps=3,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=steps,
            learning_rate=1e-3,
        )
        trainer.train()
        losses.append([line["loss"] for line in trainer.state.log_history if "loss" in line])
        trained.append({name: parameter.detach().clone() for name, parameter in model.named_parameters()})
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    for name, parameter in trained[0].items():
        torch.testing.assert_close(parameter, trained[1][name], atol=2e-5, rtol=1e-3)


def test_head_and_crf_have_rates_of_their_own(tagger, tmp_path):
    model = tagger()
    data = dataset_of(model, *sentences_and_tags())
    trainer = trainer_of(model, data, tmp_path, learning_rate=1e-5, head_learning_rate=1e-3, crf_learning_rate=1e-1)
    trainer.create_optimizer()
    rates = {id(part): group["lr"] for group in trainer.optimizer.param_groups for part in group["params"]}
    names = dict(model.named_parameters())
    assert len(rates) == len(names)
    for name, parameter in names.items():
        expected = 1e-1 if name.startswith("crf.") else 1e-3 if name.startswith("classifier.") else 1e-5
        assert rates[id(parameter)] == expected
    trainer = trainer_of(tagger(), data, tmp_path, learning_rate=1e-5, head_learning_rate=1e-3)
    trainer.create_optimizer()
    assert {group["lr"] for group in trainer.optimizer.param_groups} == {1e-5, 1e-3}


def test_lora_leaves_the_encoder_and_merges(tagger, tmp_path):
    model = tagger()
    data = dataset_of(model, *sentences_and_tags())
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    adapted = add_lora(model, 4, train_head=False)
    for part in (model.classifier, model.crf):
        part.requires_grad_(True)
    trainer = trainer_of(adapted, data, tmp_path, model.tokenizer(), max_steps=20)
    trainer.train()
    scores = trainer.evaluate()
    plain = merged(adapted)
    after = dict(plain.named_parameters())
    assert set(after) == set(before)
    assert not torch.equal(after["crf.transitions"], before["crf.transitions"])
    query = "encoder.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(after[query], before[query])
    word = "encoder.embeddings.word_embeddings.weight"
    assert torch.equal(after[word], before[word])
    plain._tokenizer = model.tokenizer()
    again = trainer_of(plain, data, tmp_path)
    assert again.evaluate()["eval_loss"] == pytest.approx(scores["eval_loss"], rel=1e-4)


def test_sentences_drawn_anew_each_epoch_reach_the_model(tagger, tmp_path):
    model = tagger()
    data = dataset_of(model, *sentences_and_tags(16))
    seen = []

    def rows(epoch):
        seen.append(epoch)
        return np.arange(8) + 8 * (epoch % 2)

    trainer = trainer_of(model, ResampledSentences(data, rows), tmp_path, num_train_epochs=3)
    trainer.train()
    assert trainer.state.global_step == 3
    assert set(seen) == {0, 1, 2}


def test_the_best_weights_come_back(tagger, tmp_path):
    model = tagger()
    data = dataset_of(model, *sentences_and_tags())
    best = BestWeightsCallback("eval_f1_micro")
    trainer = trainer_of(model, data, tmp_path, num_train_epochs=4, eval_strategy="epoch")
    trainer.add_callback(best)
    trainer.train()
    assert trainer.evaluate()["eval_f1_micro"] == pytest.approx(best.best)


def test_arguments_are_checked(tmp_path):
    with pytest.raises(ValueError, match="freeze"):
        TaggingArguments(str(tmp_path), freeze="half")
    with pytest.raises(ValueError, match="label smoothing"):
        TaggingArguments(str(tmp_path), label_smoothing_factor=0.1)
