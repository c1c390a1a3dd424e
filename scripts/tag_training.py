"""Trains the taggers of one system: one for each seed and share of the training sentences."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain_options import ModelOptions
from tag_options import TaggerOptions, TaggerTraining

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from collators.tagging import TokenizedSentence
    from corpora.tagging_corpus import TaggingCorpus
    from modeling.tagger import TokenTagger


@dataclass
class TrainedTagger:
    """A trained tagger and what is known of its training."""

    model: TokenTagger
    facts: dict[str, Any]
    epochs: float


class TaggingSystem:
    """One way of making a tagger.

    Args:
        corpus: Tagged sentences.
        model: The encoder.
        tagger: What stands on it.
        training: Options.
        split_lines: Whether every line break ends a sentence.
        folder: For what the trainer writes, and a tokenizer that is trained here.
    """

    def __init__(
        self,
        corpus: TaggingCorpus,
        model: ModelOptions,
        tagger: TaggerOptions,
        training: TaggerTraining,
        split_lines: bool,
        folder: Path,
    ) -> None:
        self.corpus, self.model, self.tagger, self.training = corpus, model, tagger, training
        self.split_lines, self.folder = split_lines, folder
        self._sentences: dict[str, list[TokenizedSentence]] = {}

    def new_tagger(self, seed: int) -> TokenTagger:
        """Return an untrained tagger."""
        from transformers import set_seed

        from modeling.tagger import TokenTagger

        set_seed(seed)
        settings = {
            "scheme": self.tagger.scheme,
            "use_crf": self.tagger.crf,
            "tagger_dropout": self.tagger.tagger_dropout,
            "window_length": self.tagger.window_length,
            "window_overlap": self.tagger.window_overlap,
            "split_lines": self.split_lines,
        }
        if self.model.model_name_or_path is not None:
            return TokenTagger.from_encoder(self.model.model_name_or_path, self.corpus.labels, **settings)
        from new_encoders import new_encoder_config, new_tokenizer

        tokenizer = new_tokenizer(self.model, self.folder, self._training_texts)
        config = new_encoder_config(self.model, tokenizer)
        return TokenTagger.with_new_encoder(config, tokenizer, self.corpus.labels, **settings)

    def _training_texts(self) -> Dataset:
        from datasets import Dataset

        return Dataset.from_dict({"text": [document.text for document in self.corpus.documents["train"]]})

    def sentences(self, split: str, tokenizer: PreTrainedTokenizerBase) -> list[TokenizedSentence]:
        """Return the sub-words of a split's sentences, made once."""
        if split not in self._sentences:
            self._sentences[split] = tokenized(self.corpus.splits[split], tokenizer)
        return self._sentences[split]

    def training_rows(self, seed: int, share: float) -> np.ndarray:
        """Return the sentences of a share, before down-sampling; a larger share holds the smaller ones."""
        count = len(self.corpus.splits["train"])
        order = np.random.default_rng([seed, 4]).permutation(count)
        return np.sort(order[: max(1, round(count * share / 100))])

    def train(self, seed: int, share: float) -> TrainedTagger:
        """Train a tagger, and keep the weights of the best validation F1."""
        from transformers import PrinterCallback, ProgressCallback

        from collators.tagged_sentences import TaggedSentences, tag_numbers
        from modeling.adapters import merged
        from new_encoders import with_lora
        from trainers.best_weights import BestWeightsCallback
        from trainers.fine_tuning_trainer import trained_parameters
        from trainers.tagging_trainer import TaggingTrainer

        started = time.perf_counter()
        tagger = self.new_tagger(seed)
        tokenizer, config = tagger.tokenizer(), tagger.config
        data = {}
        for split in ("train", "validation"):
            tags = self.corpus.splits[split]["tags"][:]
            labels = [tag_numbers(own, config.tags, config.scheme) for own in tags]
            data[split] = TaggedSentences(self.sentences(split, tokenizer), labels)
        lengths = [len(sentence.input_ids) for sentence in data["validation"].sentences]
        data["validation"] = data["validation"].select(np.argsort(lengths, kind="stable"))
        chosen, facts = self._sampled(data["train"], self.training_rows(seed, share), seed)
        model = with_lora(self.model, tagger, train_head=False)
        if self.model.lora_rank:
            # Not as peft's copies: the CRF is more than a layer with a forward pass.
            for part in filter(None, (tagger.classifier, tagger.crf)):
                part.requires_grad_(True)
        arguments = self._arguments(seed, len(chosen))
        best = BestWeightsCallback("eval_f1_micro")
        trainer = TaggingTrainer(
            model,
            arguments,
            tokenizer,
            train_dataset=chosen,
            eval_dataset=data["validation"],
            callbacks=[best],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.remove_callback(ProgressCallback)
        trainer.train()
        facts |= {
            "trained_parameters": trained_parameters(model),
            "validation_f1_micro": best.best,
            "best_epoch": best.best_epoch,
            "steps": arguments.max_steps,
            "seconds": round(time.perf_counter() - started, 2),
        }
        plain = merged(model) if self.model.lora_rank else tagger
        plain._tokenizer = tokenizer
        return TrainedTagger(plain, facts, float(trainer.state.epoch))

    def _sampled(self, sentences: Any, rows: np.ndarray, seed: int) -> tuple[Any, dict[str, Any]]:
        """Return the training sentences after down-sampling, and their numbers."""
        from collators.tagged_sentences import ResampledSentences
        from corpora.down_sampling import down_sample, down_sampling_report, sentence_keys, sentences_have_entity

        if self.tagger.sambd_share is None:
            return sentences.select(rows), {"training_sentences": len(rows)}
        share, split = self.tagger.sambd_share, self.corpus.splits["train"].select(rows)
        has_entity, keys = sentences_have_entity(split), sentence_keys(split)

        def draw(epoch: int | None) -> np.ndarray:
            kept = down_sample(has_entity, share, seed, epoch, keys)
            others = kept[~has_entity[kept]]
            others = np.random.default_rng([seed, 5, epoch or 0]).permutation(others)
            return np.concatenate((kept[has_entity[kept]], others))

        fresh = self.tagger.sambd_draw == "fresh"
        first = draw(0 if fresh else None)
        facts = {
            "training_sentences": len(first),
            "down_sampling": down_sampling_report(has_entity, np.sort(first), share),
        }
        sample = sentences.select(rows)
        return (ResampledSentences(sample, draw) if fresh else sample.select(np.sort(first))), facts

    def _arguments(self, seed: int, sentences: int) -> Any:
        from trainers.tagging_arguments import TaggingArguments

        training = self.training
        step = training.train_batch_size * training.gradient_accumulation_steps
        steps = max(training.min_steps, math.ceil(sentences / step * training.epochs), 1)
        return TaggingArguments(
            output_dir=str(self.folder / "trainer"),
            freeze=self.tagger.freeze,
            learning_rate=training.learning_rate,
            head_learning_rate=training.head_learning_rate,
            crf_learning_rate=training.crf_learning_rate,
            max_steps=steps,
            per_device_train_batch_size=training.train_batch_size,
            per_device_eval_batch_size=training.eval_batch_size,
            gradient_accumulation_steps=training.gradient_accumulation_steps,
            weight_decay=training.weight_decay,
            warmup_steps=training.warmup,
            max_grad_norm=training.max_grad_norm,
            # Sentences differ much in length: batches of like length need half of the padding.
            train_sampling_strategy="group_by_length",
            bf16=training.bf16,
            use_cpu=training.use_cpu,
            eval_strategy="steps",
            eval_steps=max(1, math.ceil(steps / training.evaluations)),
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            seed=seed,
        )


def tokenized(sentences: Dataset, tokenizer: PreTrainedTokenizerBase) -> list[TokenizedSentence]:
    """Return the sub-words of a split's sentences, with white space before a word where the document has it."""
    from collators.tagging import have_space_before, tokenize_sentences

    offsets = zip(sentences["starts"][:], sentences["ends"][:], strict=True)
    spaces = [have_space_before(list(zip(starts, ends, strict=True))) for starts, ends in offsets]
    return tokenize_sentences(sentences["tokens"][:], tokenizer, spaces)
