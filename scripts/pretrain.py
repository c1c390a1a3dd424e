"""Adapt a language model to notes by masked language modelling, DeCLUTR or note category, or train one from scratch.

    accelerate launch scripts/pretrain.py recipes/declutr_roberta_base.yaml --train_file NOTES --output_dir MODEL

The output folder loads with `AutoModel`, `AutoModelForMaskedLM`, `AutoTokenizer` and `SentenceTransformer`. Run the
same command again after an interruption: it resumes, and ends with the same weights. `--publish ORG/NAME` evaluates and
audits the finished model, writes its card and pushes it.
"""

from __future__ import annotations

import gc
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command_line import RecipeParser, run
from corpora.errors import InputError
from corpora.json_files import write_json
from corpora.records import ReadingOptions
from corpora.sources import find_sources
from launching import is_main_process, say, warn_about_missing_processes
from modeling.checkpoint_folder import check_checkpoint
from pretrain_checks import check_output, check_validation
from pretrain_options import CardOptions, ModelOptions, NotesOptions, ObjectiveOptions, RowOptions, SpaceOptions
from publication_options import PublicationOptions
from run_folder import (
    SUMMARY,
    check_settings,
    delete_earlier_run,
    prepare_run_folder,
    put_back_earlier_run,
    remove_if_empty,
    remove_if_unstarted,
    set_earlier_run_aside,
)
from run_summary import corpus_facts, run_summary, seconds_before, with_tokens
from token_budget import steps_for_tokens

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from collators.streaming import DocumentStream
    from pretrain_publication import RunPublication
    from trainers.base import AdaptationTrainer


@dataclass
class Options:
    """All options of a run."""

    objective: ObjectiveOptions
    notes: NotesOptions
    reading: ReadingOptions
    model: ModelOptions
    space: SpaceOptions
    card: CardOptions
    publication: PublicationOptions
    training: Any
    rows: RowOptions | None = None


LIGHT_OPTIONS = (
    ObjectiveOptions,
    NotesOptions,
    ReadingOptions,
    ModelOptions,
    SpaceOptions,
    CardOptions,
    PublicationOptions,
)


def check_inputs(argv: list[str]) -> RunPublication | None:
    """Look whether the files and folders are there, before the trainers are imported, which takes seconds.

    Returns:
        How the finished model is published; None where it is not.
    """
    _, notes, reading, model, _, card, publication = RecipeParser(LIGHT_OPTIONS).parse(argv, partial=True)
    for files in filter(None, (notes.train_file, notes.validation_file)):
        find_sources(files)
    if model.model_name_or_path is not None:
        check_checkpoint(model.model_name_or_path)
    if publication.publish is None:
        return None
    from pretrain_publication import plan_publication

    return plan_publication(publication, card, model, notes, reading)


def parse_options(argv: list[str]) -> Options:
    """Read the recipe and the command line; the objective decides which options the trainer has."""
    words = [word for word in argv if word not in ("-h", "--help")]
    try:
        objective = RecipeParser(ObjectiveOptions).parse(words, partial=True)[0].objective
    except InputError:
        if words == argv:
            raise
        objective = "declutr"  # what --help shows without an objective
    parser = RecipeParser(option_types(objective), description=" ".join(__doc__.split("\n\n")[0].split()))
    options = Options(*parser.parse(argv))
    if options.objective.train_tokens is not None and options.training.max_steps > 0:
        raise InputError("--train_tokens and --max_steps both say when to stop", remedy="give one of them")
    return options


def option_types(objective: str) -> tuple[type, ...]:
    """Return the dataclasses of all options of an objective."""
    from trainers import DeclutrArguments, MlmArguments, NoteCategoryArguments

    arguments = {"mlm": MlmArguments, "declutr": DeclutrArguments, "note_category": NoteCategoryArguments}[objective]
    return (*LIGHT_OPTIONS, arguments, *((RowOptions,) if objective == "mlm" else ()))


def check_streaming(options: Options) -> None:
    """Raise an `InputError` where the options ask of a stream what it cannot give."""
    from trainers.streams import fit_to_stream

    if options.objective.objective == "note_category" or metadata_names(options.training):
        raise InputError(
            "--streaming does not read metadata, whose categories are found in all documents beforehand",
            remedy="leave out --streaming, or the metadata",
        )
    fit_to_stream(options.training)


def metadata_names(training: Any) -> list[str]:
    """Return the metadata columns that the objective reads."""
    return list(getattr(training, "category_columns", ()))


def read_corpus(options: Options) -> DatasetDict:
    """Read training and validation documents and make sure that no patient is in both."""
    from corpora.loading import check_patients_apart, load_corpus

    notes, reading, training = options.notes, options.reading, options.training
    probed = [options.publication.probe_label] if options.publication.probe_label else []
    columns = notes.columns(list(dict.fromkeys([*metadata_names(training), *probed])))
    corpus = load_corpus(notes.train_file, columns, reading)
    if notes.validation_file is not None:
        validation = load_corpus(notes.validation_file, columns, reading)
        corpus["validation"] = validation["validation" if "validation" in validation else "train"]
    if "train" not in corpus:
        raise InputError("there is no split called 'train'", file=notes.train_file[0])
    corpus = type(corpus)({name: corpus[name] for name in ("train", "validation") if name in corpus})
    check_patients_apart(corpus)
    if notes.max_train_documents is not None and notes.max_train_documents < len(corpus["train"]):
        corpus["train"] = corpus["train"].shuffle(seed=training.seed).select(range(notes.max_train_documents))
    return corpus


def build_model(
    options: ModelOptions, documents: Dataset, folder: Path, training: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, bool]:
    """Load the model and tokenizer, or make them; the last value says whether the head is untrained."""
    from transformers import set_seed

    from modeling.from_scratch import untrained_model
    from modeling.loading import load_masked_lm, load_tokenizer
    from new_encoders import new_encoder_config, new_tokenizer, with_lora

    set_seed(training.seed)
    if options.model_name_or_path is not None:
        tokenizer = load_tokenizer(options.model_name_or_path)
        model, head_untrained = load_masked_lm(options.model_name_or_path)
    else:
        with training.main_process_first(local=False):
            tokenizer = new_tokenizer(options, folder, lambda: documents)
        model, head_untrained = untrained_model(new_encoder_config(options, tokenizer)), False
    return with_lora(options, model), tokenizer, head_untrained


def tokenize(
    options: Options, corpus: DatasetDict, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> tuple[dict[str, Dataset | DocumentStream], dict[str, Any]]:
    """Return what the trainer reads from each split, and counts for the summary."""
    if options.notes.streaming:
        evaluated = type(corpus)({name: split for name, split in corpus.items() if name != "train"})
        datasets, counts = _tokenize_splits(options, evaluated, model, tokenizer)
        train = {"train": stream(options, corpus["train"], model, tokenizer)}
        return train | datasets, {"train": {"documents": len(corpus["train"]), "streamed": True}, **counts}
    return _tokenize_splits(options, corpus, model, tokenizer)


def stream(
    options: Options, documents: Dataset, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> DocumentStream:
    """Return what the trainer reads from the training split with --streaming."""
    from collators.streaming import StreamOptions, stream_documents, stream_rows
    from modeling.masked_positions import inner_model
    from modeling.window import reading_length

    shuffled = StreamOptions(options.training.seed, options.notes.shuffle_window)
    if options.objective.objective == "declutr":
        return stream_documents(documents, tokenizer, options.training.span_options().min_document_length, shuffled)
    length = reading_length(inner_model(model).config, options.rows.max_length)
    return stream_rows(documents, tokenizer, length, shuffled, concatenate=options.rows.concatenate_documents)


def _tokenize_splits(
    options: Options, corpus: DatasetDict, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> tuple[dict[str, Dataset], dict[str, Any]]:
    from collators import cut_into_rows, keep_long_enough, tokenize_documents
    from modeling.masked_positions import inner_model
    from modeling.window import reading_length

    metadata = metadata_names(options.training)
    tokenized = {name: tokenize_documents(split, tokenizer, keep_columns=metadata) for name, split in corpus.items()}
    if options.objective.objective == "note_category":
        kept = {name: keep_long_enough(split, 1)[0] for name, split in tokenized.items()}
        return kept, {name: {"documents": len(corpus[name]), "read": len(split)} for name, split in kept.items()}
    if options.objective.objective == "declutr":
        spans = options.training.span_options()
        kept, counts = {}, {}
        for name, split in tokenized.items():
            kept[name], report = keep_long_enough(split, spans.min_document_length)
            counts[name] = report.as_dict()
            original = keep_long_enough(split, 2 * spans.num_anchors * spans.max_length)[1]
            counts[name]["original_kept_share"] = round(original.share, 4)
            if not len(kept[name]):
                raise InputError(
                    f"no document of the {name} split has the {report.required} tokens that two spans need",
                    remedy="lower --min_span_length"
                    + (", --max_span_length or --no_compatible_sampling" if spans.compatible else ""),
                )
        return kept, counts
    length = reading_length(inner_model(model).config, options.rows.max_length)
    rows = {
        name: cut_into_rows(split, tokenizer, length, concatenate=options.rows.concatenate_documents)
        for name, split in tokenized.items()
    }
    return rows, {name: {"documents": len(corpus[name]), "rows": len(split)} for name, split in rows.items()}


def print_counts(counts: dict[str, Any]) -> None:
    """Print what is trained on; for spans also the share of documents kept, by note category."""
    for name, numbers in counts.items():
        if "streamed" in numbers:
            say(f"{name}: {numbers['documents']:,} documents, streamed")
            continue
        if "rows" in numbers:
            say(f"{name}: {numbers['documents']:,} documents in {numbers['rows']:,} rows")
            continue
        if "read" in numbers:
            say(f"{name}: {numbers['read']:,} documents")
            continue
        say(
            f"{name}: {numbers['kept']:,} of {numbers['documents']:,} documents are long enough for spans "
            f"({numbers['kept_share']:.1%}; the original sampler would keep {numbers['original_kept_share']:.1%})"
        )
        categories = {key: value for key, value in numbers["kept_by_category"].items() if key}
        for category, (kept, total) in categories.items() if name == "train" else ():
            say(f"    {category:<28} {kept:>9,} of {total:>9,}  {kept / total:6.1%}")


def build_trainer(
    options: Options,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    datasets: dict[str, Dataset],
    head_untrained: bool,
) -> AdaptationTrainer:
    """Return the trainer of the objective.

    Raises:
        InputError: The options do not fit each other, the model or the machine.
    """
    from trainers import DeclutrTrainer, MlmTrainer, NoteCategoryTrainer

    training = options.training
    if training.head_warmup_steps is None:
        # With an untrained head the first gradients are noise; a tenth of the run lets it settle.
        training.head_warmup_steps = 0.1 if head_untrained and getattr(training, "mlm_weight", 1.0) else 0
        if training.head_warmup_steps:
            say("the checkpoint has no masked-LM head: a new one is trained alone for the first tenth of the steps")
    trainers = {"mlm": MlmTrainer, "declutr": DeclutrTrainer, "note_category": NoteCategoryTrainer}
    try:
        return trainers[options.objective.objective](
            model,
            training,
            processing_class=tokenizer,
            train_dataset=datasets["train"],
            eval_dataset=datasets.get("validation"),
        )
    except InputError:
        raise
    except (ValueError, ImportError) as error:  # what transformers says of its own options
        raise InputError(f"these options cannot be trained with ({error})", remedy="change them") from error


def watch_space(trainer: AdaptationTrainer, documents: Dataset, count: int) -> None:
    """Log measures of the embedding space at every evaluation, with the silhouette of the first metadata column."""
    from collators import tokenize_documents
    from trainers.space_callback import SpaceCallback

    names = [*metadata_names(trainer.args), "note_category"]
    single = [
        name for name in names if name in documents.column_names and hasattr(documents.features[name], "dtype")
    ]  # a column of lists has no one value a document
    tokenized = tokenize_documents(documents, trainer.processing_class, keep_columns=single)
    trainer.add_callback(SpaceCallback(trainer, tokenized, count, single[0] if single else None))


def print_categories(trainer: AdaptationTrainer) -> dict[str, dict[str, int]]:
    """Print the metadata columns and how many training documents have each category; return the numbers."""
    found = {}
    for column in getattr(trainer, "columns", ()):
        found[column.name] = dict(zip(column.labels, column.counts, strict=True))
        say(f"{column.name}: {len(column.labels)} categories{' (several a document)' if column.multi_label else ''}")
        ranked = sorted(found[column.name].items(), key=lambda item: -item[1])
        for label, count in ranked[:12]:
            say(f"    {label[:28]:<28} {count:>9,}")
        if len(ranked) > 12:
            say(f"    {f'{len(ranked) - 12} more':<28} {sum(count for _, count in ranked[12:]):>9,}")
    return found


def run_settings(options: Options, corpus: DatasetDict) -> dict[str, Any]:
    """Return what decides the result of a run."""
    from corpora.digest import corpus_digest

    return {
        **asdict(options.objective),
        **asdict(options.notes),
        **asdict(options.reading),
        **asdict(options.model),
        **(asdict(options.rows) if options.rows else {}),
        **(asdict(options.space) if "space_" in (options.training.metric_for_best_model or "") else {}),
        **options.training.to_dict(),
        "documents": {name: corpus_digest(split) for name, split in corpus.items()},
    }


def quiet_libraries() -> None:
    """Keep the progress bars that tell a user nothing: of weights always, of datasets in a log file."""
    import datasets
    from transformers.utils import logging

    logging.disable_progress_bar()
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()


def main(argv: list[str]) -> int:
    """Run the script."""
    started = time.time()
    publication = None if {"-h", "--help"} & set(argv) else check_inputs(argv)
    options = parse_options(argv)
    from trainers.fully_sharded import refuse_what_fsdp_cannot
    from trainers.optional_packages import refuse_missing_packages

    training = options.training
    if options.notes.streaming:
        check_streaming(options)
    refuse_what_fsdp_cannot(training, lora=bool(options.model.lora_rank), log_space=bool(options.space.log_space))
    refuse_missing_packages(training)
    quiet_libraries()
    folder = Path(training.output_dir)
    check_output(folder, options.notes, options.model, restart=options.objective.restart)
    warn_about_missing_processes(training.world_size)
    with training.main_process_first(local=False):
        if is_main_process():
            prepare_run_folder(folder)
        try:
            corpus = read_corpus(options)
            check_validation(corpus, options.notes, training, options.space.log_space)
            if publication is not None:
                publication.check_corpus(corpus)
        except InputError:
            remove_if_empty(folder)
            raise
        if options.objective.restart and is_main_process():
            set_earlier_run_aside(folder)
        check_settings(folder, run_settings(options, corpus))
    if (folder / SUMMARY).is_file():
        say(f"{folder} is finished already; pass --restart to train it anew")
    else:
        try:
            train(options, corpus, folder, started)
        except InputError:
            if is_main_process():
                remove_if_unstarted(folder)
                put_back_earlier_run(folder)
            raise
    finish_distributed()
    if publication is not None and is_main_process():
        gc.collect()  # what the trainer held, for others need the memory now
        replace(publication, device="cpu" if training.use_cpu else None).publish(folder, corpus)
    return 0


def train(options: Options, corpus: DatasetDict, folder: Path, started: float) -> None:
    """Train, evaluate and export, from where an earlier run was interrupted.

    Args:
        options: Of the run.
        corpus: Splits `train` and, where there is one, `validation`.
        folder: Of the run.
        started: When the script was, by `time.time()`.
    """
    from modeling.loading import describe_size
    from trainers import last_complete_checkpoint

    training = options.training
    model, tokenizer, head_untrained = build_model(options.model, corpus["train"], folder, training)
    with training.main_process_first(local=False):
        datasets, counts = tokenize(options, corpus, model, tokenizer)
        counts = with_tokens(counts, datasets)
    print_counts(counts)
    say(describe_size(model))
    trainer = build_trainer(options, model, tokenizer, datasets, head_untrained)
    if options.objective.train_tokens is not None:
        training.max_steps = steps_for_tokens(trainer, options.objective.train_tokens)
        say(f"{options.objective.train_tokens:,} tokens are {training.max_steps:,} steps")
    categories = print_categories(trainer)
    if options.space.log_space:
        watch_space(trainer, corpus["validation"], options.space.log_space)
    checkpoint = last_complete_checkpoint(folder)
    if checkpoint is not None:
        say(f"resuming from {checkpoint.name}")
    facts, before = corpus_facts(corpus, options.notes.train_file), seconds_before(checkpoint)

    def summary(metrics: dict[str, float] | None = None) -> dict[str, Any]:
        """Return what is known of the run by now."""
        seconds = before + time.time() - started
        found = run_summary(options.objective.objective, options.model, trainer, counts, facts, metrics or {}, seconds)
        return {**found, "categories": categories} if categories else found

    card = None
    if options.card.model_card:
        from model_cards.card_callback import CardCallback

        card = CardCallback(trainer, summary)
        trainer.add_callback(card)
    if is_main_process():
        delete_earlier_run(folder)
    result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    metrics = trainer.evaluate() if trainer.eval_dataset is not None else {}
    trainer.export(folder)
    if is_main_process():
        finished = summary({**result.metrics, **metrics})
        if card is not None:
            card.write(folder, finished)
        write_json(folder / SUMMARY, finished)  # last, for it says that the run is finished
    say(f"\nmodel: {folder}")
    for name in sorted(metrics):
        if not name.endswith(("_runtime", "_per_second", "epoch")):
            say(f"    {name:<28} {metrics[name]:.4f}")


def finish_distributed() -> None:
    """End the process group; left to the interpreter's exit, some runs abort there."""
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    run(main)
