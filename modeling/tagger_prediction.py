"""Texts to entities with a trained `TokenTagger`, and its tags for sentences that are cut into words already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from collators.tagging import TokenizedSentence, have_space_before, tokenize_sentences
from corpora.sentences import find_sentences, find_words
from corpora.tag_schemes import entity_spans

if TYPE_CHECKING:
    from modeling.tagger import TokenTagger

# Sub-words of a batch, padding included, for sentences of usual length; a longer one stands alone.
TOKENS_A_BATCH = 8_192


@dataclass(frozen=True)
class PredictedEntity:
    """An entity found in a text.

    Args:
        label: Its type.
        start: First character.
        end: The character after the last.
        probability: The smallest probability that the model gives to the tag of one of its words (of a CRF: the
            marginal). The entity as a whole is at most as probable.
    """

    label: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True)
class TaggedWords:
    """What a tagger says of a sentence.

    Args:
        tags: IOB2, one for each word.
        probabilities: `(words,)` float32, of the tag that was chosen.
    """

    tags: list[str]
    probabilities: np.ndarray


@torch.inference_mode()
def tag_sentences(
    model: TokenTagger, sentences: Sequence[TokenizedSentence], batch_size: int = 32, *, probabilities: bool = True
) -> list[TaggedWords]:
    """Tag sentences.

    Args:
        model: The tagger.
        sentences: Of `tokenize_sentences`; sentences without a word get no tags.
        batch_size: Most sentences at a time; fewer, when they are long.
        probabilities: Whether to compute them; they are NaN otherwise.

    Returns:
        For each sentence its tags.
    """
    collate, was_training = model.collator(model.tokenizer()), model.training
    model.eval()
    found = [TaggedWords([], np.zeros(0, dtype=np.float32)) for _ in sentences]
    for places in _batches([len(sentence.input_ids) for sentence in sentences], batch_size):
        features = [
            {"input_ids": sentences[place].input_ids, "word_offsets": sentences[place].word_offsets} for place in places
        ]
        batch = {name: tensor.to(model.device) for name, tensor in collate(features).items()}
        output = model(**batch)
        tags = output.tags.cpu()
        chosen = torch.full(tags.shape, torch.nan)
        if probabilities:
            every = model.tag_probabilities(output.logits, batch["word_index"] >= 0).float().cpu()
            chosen = every.gather(2, tags.clamp(min=0).unsqueeze(2)).squeeze(2)
        for row, place in enumerate(places):
            words = sentences[place].words
            numbers = tags[row, :words].tolist()
            found[place] = TaggedWords(model.iob2(numbers), chosen[row, :words].numpy())
    model.train(was_training)
    return found


def predict_entities(model: TokenTagger, texts: Sequence[str], batch_size: int = 32) -> list[list[PredictedEntity]]:
    """Find the entities of texts; see `TokenTagger.predict`."""
    spans: list[tuple[int, list[tuple[int, int]]]] = []
    for number, text in enumerate(texts):
        for start, end in find_sentences(text, split_lines=model.config.split_lines)[0]:
            words = find_words(text, start, end)[0]
            if words:
                spans.append((number, words))
    sentences = tokenize_sentences(
        [[texts[number][start:end] for start, end in words] for number, words in spans],
        model.tokenizer(),
        [have_space_before(words) for _, words in spans],
    )
    entities: list[list[PredictedEntity]] = [[] for _ in texts]
    for (number, words), tagged in zip(spans, tag_sentences(model, sentences, batch_size), strict=True):
        entities[number] += entities_of(tagged, words)
    return entities


def entities_of(tagged: TaggedWords, words: Sequence[tuple[int, int]]) -> list[PredictedEntity]:
    """Return the entities of a tagged sentence, in order.

    Args:
        tagged: Tags and their probabilities.
        words: Offsets `(start, end)` of the words in the text.
    """
    return [
        PredictedEntity(label, words[first][0], words[last - 1][1], float(tagged.probabilities[first:last].min()))
        for label, first, last in entity_spans(tagged.tags)
    ]


def _batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Return batches of the places of sentences of like length, the longest first; empty sentences are left out."""
    order = sorted((place for place, length in enumerate(lengths) if length), key=lambda place: -lengths[place])
    batches: list[list[int]] = []
    for place in order:
        full = batches and (
            len(batches[-1]) == batch_size or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > TOKENS_A_BATCH
        )
        if not batches or full:
            batches.append([])
        batches[-1].append(place)
    return batches
