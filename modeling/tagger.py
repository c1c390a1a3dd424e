"""A tagger of words on an encoder: gather, dropout, linear, CRF; loads with `from_pretrained`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    PretrainedConfig,
    PreTrainedTokenizerBase,
)
from transformers.utils import ModelOutput

from collators.masking import IGNORE_INDEX
from collators.tagging import TaggingCollator
from corpora.tag_schemes import allowed_ends, allowed_starts, allowed_transitions, bioes_to_iob2, tag_names
from modeling.crf import LinearChainCRF
from modeling.encoder_loading import config_from_settings, load_encoder, plain_settings
from modeling.headed_encoder import HeadedEncoder
from modeling.window import model_window

if TYPE_CHECKING:
    from modeling.tagger_prediction import PredictedEntity

TAGGER_SCHEMES = ("IOB2", "BIOES")


class TokenTaggerConfig(PretrainedConfig):
    """Configuration of a `TokenTagger`.

    Args:
        encoder: Configuration of the encoder, as a dictionary.
        scheme: `IOB2`, or `BIOES`, which tells last and single words apart.
        use_crf: Whether a CRF stands on the scores of the tags; without it each word is tagged for itself.
        tagger_dropout: Dropout before the linear layer.
        window_length: Tokens in a window; the encoder's window, at most 512, when not given.
        window_overlap: Sub-words that two windows of a long sentence share.
        split_lines: Whether every line break ends a sentence of a text, as `corpora.sentences` has it.
        kwargs: As in `PretrainedConfig`: `id2label` holds the tags.

    Raises:
        ValueError: The scheme is another.
    """

    model_type = "token_tagger"
    # Evaluation keeps the tags; the scores of all words would fill the memory.
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["logits"]

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        scheme: str = "IOB2",
        use_crf: bool = True,
        tagger_dropout: float = 0.2,
        window_length: int | None = None,
        window_overlap: int = 64,
        split_lines: bool = False,
        **kwargs: Any,
    ) -> None:
        if scheme not in TAGGER_SCHEMES:
            raise ValueError(f"scheme must be one of {', '.join(TAGGER_SCHEMES)}, got {scheme!r}")
        self.encoder = encoder if encoder is not None else AutoConfig.for_model("bert").to_dict()
        self.scheme, self.use_crf, self.tagger_dropout = scheme, use_crf, tagger_dropout
        self.window_length, self.window_overlap = window_length, window_overlap
        self.split_lines = split_lines
        if not kwargs.keys() & {"id2label", "num_labels"}:
            kwargs["id2label"] = {0: "O"}
        super().__init__(**kwargs)

    @property
    def tags(self) -> list[str]:
        """The tags, in the order of the model's scores."""
        return [self.id2label[number] for number in range(len(self.id2label))]

    def encoder_config(self) -> PretrainedConfig:
        """Return the encoder's configuration as its own class."""
        return config_from_settings(self.encoder)


@dataclass
class TaggerOutput(ModelOutput):
    """What a `TokenTagger` gives.

    Args:
        loss: With labels: the mean over sentences of the negative log-likelihood (CRF), or over words of the
            cross-entropy.
        logits: `(sentences, words, tags)` scores of the tags for each word by itself.
        tags: `(sentences, words)` int64 the best tags, -100 where there is no word; in evaluation mode only.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    tags: torch.Tensor | None = None


class TokenTagger(HeadedEncoder):
    """An encoder, the hidden state of each word's first sub-word, dropout, a linear layer and a CRF.

    Without `word_index` every token that the attention mask shows is a word, so that
    `pipeline("token-classification")` and any code for token classifiers work; it reads the scores of single tokens,
    not the CRF. `predict` reads texts as the model was trained to.

    Source: LM-CRF of Belkadi et al. 2022 (arXiv 2210.12770), on words in place of sub-words.

    Example:
        ```python
        tagger = TokenTagger.from_encoder("runs/model", ["Drug", "Dosage"])  # then train it: scripts/tag.py
        for entity in tagger.predict(texts)[0]:
            print(entity.label, entity.start, entity.end, entity.probability)
        ```

    Args:
        config: The configuration.
    """

    config_class = TokenTaggerConfig

    def __init__(self, config: TokenTaggerConfig) -> None:
        super().__init__(config)
        self.dropout = nn.Dropout(config.tagger_dropout)
        self.classifier = nn.Linear(self.encoder.config.hidden_size, config.num_labels)
        self.crf = None
        if config.use_crf:
            rules = (allowed_starts, allowed_transitions, allowed_ends)
            self.crf = LinearChainCRF(config.num_labels, *(rule(config.tags, config.scheme) for rule in rules))
        self.post_init()

    @classmethod
    def from_encoder(cls, name_or_path: str | Path, labels: Sequence[str], **settings: Any) -> TokenTagger:
        """Put an untrained tagger on a checkpoint: any encoder, also one saved with a masked language model.

        Args:
            name_or_path: Checkpoint folder or Hub id.
            labels: Entity types.
            settings: Of `TokenTaggerConfig`.

        Raises:
            InputError: No encoder can be loaded from there.
        """
        encoder, tokenizer = load_encoder(name_or_path)
        return cls._on(_configuration(encoder.config, labels, settings), tokenizer, encoder)

    @classmethod
    def with_new_encoder(
        cls, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str], **settings: Any
    ) -> TokenTagger:
        """Make a tagger whose encoder has random weights (seed with `transformers.set_seed` first).

        Args:
            config: Of the encoder.
            tokenizer: Of the encoder's vocabulary.
            labels: Entity types.
            settings: Of `TokenTaggerConfig`.
        """
        return cls._on(_configuration(config, labels, settings), tokenizer, None)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        word_index: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> TaggerOutput | tuple[torch.Tensor, ...]:
        """Score and, in evaluation mode, tag the words of sentences.

        Args:
            input_ids: `(windows, length)`.
            attention_mask: `(windows, length)`.
            token_type_ids: `(windows, length)`, for encoders that have them.
            word_index: `(sentences, words)` place of each word's first sub-word in the flattened windows, -1 for none;
                see `collators.tagging.TaggingCollator`. When not given, every token is a word.
            labels: `(sentences, words)` int64, -100 for none; gives the loss.
            return_dict: False gives a tuple.
            kwargs: For the encoder.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        hidden = self.hidden_states(input_ids, attention_mask, token_type_ids, **kwargs)
        if word_index is None:
            mask = attention_mask.bool()
        else:
            mask = word_index >= 0
            hidden = hidden.flatten(0, 1)[word_index.clamp(min=0)]
        scores = self.classifier(self.dropout(hidden))
        loss = None if labels is None else self.loss(scores, labels, mask)
        tags = None if self.training else self.decode(scores, mask)
        if return_dict is False:
            return tuple(part for part in (loss, scores, tags) if part is not None)
        return TaggerOutput(loss=loss, logits=scores, tags=tags)

    def loss(self, scores: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the mean loss over sentences (CRF) or words.

        Args:
            scores: `(sentences, words, tags)`.
            labels: `(sentences, words)` int64; words of -100 are passed over.
            mask: `(sentences, words)` bool.
        """
        mask = mask & (labels >= 0)
        if self.crf is None:
            total = F.cross_entropy(scores[mask].float(), labels[mask], reduction="sum")
            return total / mask.sum().clamp(min=1)
        return -self.crf(scores, labels, mask).sum() / mask.any(1).sum().clamp(min=1)

    def decode(self, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the best tags `(sentences, words)` int64, -100 where there is no word; arguments as in `loss`."""
        if self.crf is not None:
            return self.crf.decode(scores, mask)
        return scores.argmax(-1).masked_fill(~mask, IGNORE_INDEX)

    def tag_probabilities(self, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the probability of every tag for each word, `(sentences, words, tags)`; arguments as in `loss`."""
        if self.crf is not None:
            return self.crf.marginals(scores, mask)
        return scores.float().softmax(-1)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> TaggingCollator:
        """Return the collator that reads sentences as this model does."""
        length = self.config.window_length or min(model_window(self.config.encoder_config()), 512)
        overlap = min(self.config.window_overlap, length // 4)
        return TaggingCollator(tokenizer, length, overlap)

    def iob2(self, numbers: Sequence[int]) -> list[str]:
        """Return the tags of a sentence in IOB2, from those that the model gave."""
        tags = [self.config.tags[number] for number in numbers]
        return bioes_to_iob2(tags) if self.config.scheme == "BIOES" else tags

    def predict(self, texts: Iterable[str], batch_size: int = 32) -> list[list[PredictedEntity]]:
        """Find the entities of texts.

        Args:
            texts: Whole documents; they are cut into sentences.
            batch_size: Sentences at a time.

        Returns:
            For each text its entities in order: label, character offsets (end exclusive) and probability.
        """
        from modeling.tagger_prediction import predict_entities

        return predict_entities(self, list(texts), batch_size)


def _configuration(encoder: PretrainedConfig, labels: Sequence[str], settings: dict[str, Any]) -> TokenTaggerConfig:
    """Return the configuration of a tagger of some entity types on an encoder."""
    tags = tag_names(labels, settings.get("scheme", "IOB2"))
    return TokenTaggerConfig(
        encoder=plain_settings(encoder),
        id2label=dict(enumerate(tags)),
        label2id={tag: number for number, tag in enumerate(tags)},
        **settings,
    )


AutoConfig.register(TokenTaggerConfig.model_type, TokenTaggerConfig, exist_ok=True)
AutoModelForTokenClassification.register(TokenTaggerConfig, TokenTagger, exist_ok=True)
