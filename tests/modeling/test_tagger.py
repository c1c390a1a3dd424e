"""The tagger: words and their states, loss, decoding, windows, loading, prediction with offsets."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification, pipeline

import modeling  # noqa: F401 - registers the tagger
from collators.special_tokens import special_token_affixes
from collators.tagging import TaggingCollator, have_space_before, tokenize_sentences
from corpora.sentences import find_words
from corpora.tag_schemes import entity_spans, scheme_faults
from modeling.tagger import TokenTagger, TokenTaggerConfig
from modeling.tagger_prediction import entities_of, predict_entities, tag_sentences

LABELS = ["Drug", "Dose"]
SENTENCES = [
    "the patient was admitted with chest pain".split(),
    ["fever"],
    "no cough or rash noted today plan continue aspirin".split(),
]


@pytest.fixture
def tagger(make_model, tmp_path):
    """Return a function: settings -> a tagger on a tiny encoder, with scores that differ between words."""

    def make(family="bert", window=64, **settings):
        model, tokenizer = make_model(family, window=window)
        folder = tmp_path / f"{family}-{window}"
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        torch.manual_seed(1)
        made = TokenTagger.from_encoder(folder, LABELS, tagger_dropout=0.0, **settings).eval()
        for parameter in made.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.4)
        return made

    return make


def batch_of(model, sentences, labels=None):
    tokenized = tokenize_sentences(sentences, model.tokenizer())
    features = [{"input_ids": one.input_ids, "word_offsets": one.word_offsets} for one in tokenized]
    for feature, own in zip(features, labels or [], strict=bool(labels)):
        feature["labels"] = own
    return model.collator(model.tokenizer())(features)


def test_each_word_is_scored_by_the_state_of_its_first_subword(tagger, family):
    model = tagger(family)
    output = model(**batch_of(model, SENTENCES))
    tokenizer = model.tokenizer()
    for row, words in enumerate(SENTENCES):
        (sentence,) = tokenize_sentences([words], tokenizer)
        prefix, suffix = special_token_affixes(tokenizer)
        states = model.encoder(input_ids=torch.tensor([[*prefix, *sentence.input_ids.tolist(), *suffix]]))[0][0]
        first = len(prefix)
        for word, offset in enumerate(sentence.word_offsets[:-1].tolist()):
            expected = model.classifier(states[first + offset])
            torch.testing.assert_close(output.logits[row, word], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES"])
def test_tags_of_a_crf_keep_to_the_scheme(tagger, scheme):
    model = tagger(scheme=scheme)
    tags = model(**batch_of(model, SENTENCES)).tags
    assert tags.shape == (3, 9)
    for row, words in enumerate(SENTENCES):
        assert (tags[row, len(words) :] == -100).all()
        names = [model.config.tags[number] for number in tags[row, : len(words)]]
        assert scheme_faults(names, scheme) == []


def test_without_a_crf_each_word_is_tagged_for_itself(tagger):
    model = tagger(use_crf=False)
    labels = [[0] * len(words) for words in SENTENCES]
    labels[2][3] = 3
    labels[0][1] = -100
    batch = batch_of(model, SENTENCES, labels)
    output = model(**batch)
    total, count = 0.0, 0
    for row, own in enumerate(labels):
        for word, label in enumerate(own):
            if label >= 0:
                total -= output.logits[row, word].log_softmax(-1)[label]
                count += 1
            assert output.tags[row, word] == output.logits[row, word].argmax()
    torch.testing.assert_close(output.loss, total / count)


def test_the_loss_of_a_crf_is_the_mean_over_sentences(tagger):
    model = tagger()
    labels = [[0] * len(words) for words in SENTENCES]
    labels[0][5], labels[0][6] = 3, 4
    both = model(**batch_of(model, SENTENCES, labels)).loss
    single = [model(**batch_of(model, [words], [own])).loss for words, own in zip(SENTENCES, labels, strict=True)]
    torch.testing.assert_close(both, torch.stack(single).mean(), rtol=1e-4, atol=1e-5)


def test_words_without_a_label_do_not_count(tagger):
    model = tagger()
    labels = [[0] * len(words) for words in SENTENCES]
    labels[1] = [-100]
    labels[2][4] = -100
    loss = model(**batch_of(model, SENTENCES, labels)).loss
    mask = torch.tensor([[label >= 0 for label in own] + [False] * (9 - len(own)) for own in labels])
    scores = model(**batch_of(model, SENTENCES)).logits
    numbers = torch.tensor([[max(label, 0) for label in own] + [0] * (9 - len(own)) for own in labels])
    expected = -(model.crf(scores, numbers, mask)[[0, 2]].mean())
    torch.testing.assert_close(loss, expected)


def test_training_mode_gives_no_tags(tagger):
    model = tagger().train()
    assert model(**batch_of(model, SENTENCES)).tags is None
    assert len(model.eval()(**batch_of(model, SENTENCES), return_dict=False)) == 2


def test_a_long_sentence_is_read_in_windows(tagger):
    model = tagger(window=64, window_overlap=16)
    random = np.random.default_rng(0)
    words = list(random.choice("patient fever aspirin xyz plan".split(), 10_000))
    (tagged,) = tag_sentences(model, tokenize_sentences([words], model.tokenizer()))
    assert len(tagged.tags) == len(tagged.probabilities) == 10_000
    assert scheme_faults(tagged.tags, "IOB2") == []
    # The first words stand in the first window alone, where they are read as in a short sentence.
    short = model(**batch_of(model, [words[:20]])).logits[0, 0]
    assert short.shape == (5,)


def test_a_word_has_the_scores_of_its_window(tagger):
    model = tagger(window=32, window_overlap=4)
    words = ["fever"] * 10 + ["aspirin"] * 60
    scores = model(**batch_of(model, [words])).logits[0]
    collator = model.collator(model.tokenizer())
    assert isinstance(collator, TaggingCollator)
    assert collator.length == 32
    first_window = model(**batch_of(model, [words[:30]])).logits[0]
    torch.testing.assert_close(scores[:20], first_window[:20], atol=1e-5, rtol=1e-4)


def test_tokens_are_words_where_nobody_says_otherwise(tagger):
    model = tagger()
    encoded = model.tokenizer()(["chest pain", "fever"], return_tensors="pt", padding=True)
    encoded.pop("token_type_ids", None)
    output = model(**encoded)
    assert output.logits.shape == (*encoded["input_ids"].shape, 5)
    assert torch.equal(output.tags == -100, encoded["attention_mask"] == 0)
    found = pipeline("token-classification", model=model, tokenizer=model.tokenizer(), device="cpu")("chest pain")
    assert {one["entity"] for one in found} <= set(model.config.tags)


def test_saved_and_loaded(tagger, tmp_path):
    model = tagger(scheme="BIOES", split_lines=True)
    model.save_pretrained(tmp_path / "tagger")
    model.tokenizer().save_pretrained(tmp_path / "tagger")
    for loaded in (
        TokenTagger.from_pretrained(tmp_path / "tagger"),
        AutoModelForTokenClassification.from_pretrained(tmp_path / "tagger"),
    ):
        assert isinstance(loaded, TokenTagger)
        assert loaded.config.split_lines
        assert loaded.config.tags == model.config.tags
        text = "patient on aspirin. No fever or cough.\nchest pain"
        assert loaded.predict([text]) == model.predict([text])
        torch.testing.assert_close(loaded.crf.transitions, model.crf.transitions)


@pytest.mark.parametrize("auto", [False, True])
def test_the_tokenizer_is_that_of_the_revision(tagger, tmp_path, auto):
    """In a cache of the Hub where a checkpoint has two revisions, whose tokenizers differ in their longest input."""
    repository = tmp_path / "cache" / "models--org--tagger"
    (repository / "refs").mkdir(parents=True)
    model = tagger()
    for revision, commit, longest in (("main", "a" * 40, 64), ("v1", "b" * 40, 33)):
        (repository / "refs" / revision).write_text(commit)
        model.save_pretrained(repository / "snapshots" / commit)
        model.tokenizer().model_max_length = longest
        model.tokenizer().save_pretrained(repository / "snapshots" / commit)
    kind = AutoModelForTokenClassification if auto else TokenTagger
    for options, longest in (({}, 64), ({"revision": "v1"}, 33), ({"revision": "b" * 40}, 33)):
        loaded = kind.from_pretrained("org/tagger", cache_dir=tmp_path / "cache", local_files_only=True, **options)
        assert isinstance(loaded, TokenTagger) and loaded.tokenizer().model_max_length == longest


def test_the_folder_tells_nothing_of_this_machine(tagger, tmp_path):
    model = tagger()
    model.save_pretrained(tmp_path / "tagger")
    assert str(tmp_path) not in (tmp_path / "tagger" / "config.json").read_text()


def test_predicted_offsets_are_those_of_the_tags(tagger):
    model = tagger()
    texts = ["The patient  was admitted.\n\nAspirin (5 mg), no rash.", "", "fever"]
    found = predict_entities(model, texts)
    assert [len(entities) > 0 for entities in found][1] is False
    for text, entities in zip(texts, found, strict=True):
        assert entities == model.predict([text])[0]
        for entity in entities:
            assert 0 <= entity.start < entity.end <= len(text)
            assert not text[entity.start].isspace()
            assert not text[entity.end - 1].isspace()
            assert 0 < entity.probability <= 1
            assert entity.label in LABELS


def test_words_are_read_as_in_training_whatever_lies_between_them(tagger):
    model = tagger("roberta")
    text = "aspirin\u200bplan, fever \u200b(cough)"
    words = find_words(text)[0]
    spaces = have_space_before(words)
    assert spaces == [False, True, False, True, True, False, False]
    row = tokenize_sentences([[text[start:end] for start, end in words]], model.tokenizer(), [spaces])
    (tagged,) = tag_sentences(model, row)
    assert predict_entities(model, [text])[0] == entities_of(tagged, words)


def test_probabilities_are_marginals_of_the_chosen_tags(tagger):
    model = tagger()
    tokenized = tokenize_sentences(SENTENCES, model.tokenizer())
    batch = batch_of(model, SENTENCES)
    output = model(**batch)
    marginals = model.crf.marginals(output.logits, batch["word_index"] >= 0)
    for row, tagged in enumerate(tag_sentences(model, tokenized)):
        words = len(SENTENCES[row])
        expected = [marginals[row, word, output.tags[row, word]] for word in range(words)]
        np.testing.assert_allclose(tagged.probabilities, torch.stack(expected).detach().numpy(), atol=1e-5)
        spans = entity_spans(tagged.tags)
        assert all(end <= words for _, _, end in spans)


def test_batches_do_not_change_the_tags(tagger):
    model = tagger("roberta")
    random = np.random.default_rng(2)
    words = "patient fever aspirin echo plan clinic".split()
    sentences = [list(random.choice(words, size)) for size in random.integers(0, 50, 30)]
    tokenized = tokenize_sentences(sentences, model.tokenizer())
    alone = [tag_sentences(model, [one])[0].tags for one in tokenized]
    assert [one.tags for one in tag_sentences(model, tokenized, batch_size=7)] == alone
    assert not model.training


def test_frozen_layers_stay_in_evaluation_mode(tagger):
    model = tagger()
    model.freeze("1")
    model.train()
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert any("layer.0" in name for name in frozen)
    assert not any("layer.1" in name for name in frozen)
    assert not model.encoder.encoder.layer[0].training
    assert model.encoder.encoder.layer[1].training


def test_settings_are_checked():
    with pytest.raises(ValueError, match="scheme"):
        TokenTaggerConfig(scheme="IO")
    assert TokenTaggerConfig().tags == ["O"]
