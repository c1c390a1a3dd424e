"""What training on a stream of documents asks of the arguments."""

from __future__ import annotations

from transformers import TrainingArguments

from corpora.errors import InputError


def fit_to_stream(args: TrainingArguments) -> None:
    """Make the arguments fit a `DocumentStream`.

    Every process reads the whole stream and takes its own documents of each batch. Accelerate's default for streams,
    batches cut up by the main process, would tear spans from their anchors.

    Args:
        args: Changed in place.

    Raises:
        InputError: The number of steps is unknown, or several workers would each read the stream in an order of their
            own, so that the order would depend on their number.
    """
    if args.max_steps <= 0:
        raise InputError("a stream has no end, so --streaming needs the number of steps", remedy="give --max_steps")
    if args.dataloader_num_workers > 1:
        raise InputError(
            f"--streaming reads with one worker, not with {args.dataloader_num_workers}",
            remedy="give --dataloader_num_workers 0 or 1",
        )
    args.accelerator_config.dispatch_batches = False
