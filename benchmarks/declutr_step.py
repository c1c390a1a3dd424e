r"""One DeCLUTR step, contrastive and masked LM, against the way the original computes it.

python benchmarks/declutr_step.py                                                       # 4 layers of 256
python benchmarks/declutr_step.py --layers 12 --hidden_size 768 --documents 2 --steps 1     # RoBERTa-base
python benchmarks/declutr_step.py --layers 12 --hidden_size 768 --documents 64 --bf16 --peak_tflops 989 \
    --mlm_weight 0 --positives 1 --sides ours cached original sentence-transformers         # on a GPU

Sides, each in a process of its own, with the same weights, spans, masks and precision:

- ours: `DeclutrTrainer`: anchors and positives in one pass without padding, logits at masked positions only;
- cached: the same with cached gradients (`--mini_batch_tokens`);
- original: as in Giorgi et al. 2021: anchors and positives pass the masked language model apart, each padded to its
  longest, with logits for every position of both;
- original-maximum: the same, all padded to `--longest`, as where padding is done before there are batches (the main
  study's code pads in `map`);
- sentence-transformers: `CachedMultipleNegativesRankingLoss` on the same spans, one positive an anchor, no masked LM
  (it has none): compare it with `--mlm_weight 0 --positives 1`.

The losses of ours and original are compared first, without dropout. Forward and backward pass, without the optimizer.
Random weights, random token ids. Real tokens: special tokens counted, padding not. Utilisation: the operations that the
real tokens need (6 for each weight and token, 12 x layers x width x length for attention, the head at masked positions)
over `--peak_tflops`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from made_up_training import collated, in_a_process, made_up_documents, made_up_tokenizer, measured, untrained_encoder

ORIGINALS = ("original", "original-maximum")
SIDES = ("ours", "cached", *ORIGINALS, "sentence-transformers")
# What stands beyond the end of a row.
PADDING = {"input_ids": 0, "attention_mask": 0, "labels": -100}


def make_trainer(options: argparse.Namespace, folder: str) -> Any:
    """Return a `DeclutrTrainer` over made-up documents."""
    import torch

    from trainers import DeclutrArguments, DeclutrTrainer

    tokenizer = made_up_tokenizer(options.vocabulary)
    arguments = DeclutrArguments(
        folder,
        use_cpu=not torch.cuda.is_available(),
        bf16=options.bf16,
        mlm_weight=options.mlm_weight,
        num_positives=options.positives,
        min_span_length=options.shortest,
        max_span_length=options.longest,
        per_device_train_batch_size=options.documents,
        contrastive_mini_batch_tokens=options.mini_batch_tokens if options.side == "cached" else None,
    )
    model = untrained_encoder("bert", options.layers, options.hidden_size, options.dropout, tokenizer)
    documents = made_up_documents(max(options.documents, 2), options.vocabulary)
    trainer = DeclutrTrainer(model, arguments, processing_class=tokenizer, train_dataset=documents)
    trainer.current_gradient_accumulation_steps = 1  # otherwise set by the training loop
    if options.side in ORIGINALS:  # with none of what the trainer did to its model
        trainer.model = untrained_encoder("bert", options.layers, options.hidden_size, options.dropout, tokenizer)
        trainer.model.to(trainer.args.device)
    trainer.model = trainer.accelerator.prepare_model(trainer.model)  # autocast
    trainer.model.train()
    return trainer


def trainer_step(trainer: Any, batch: dict[str, Any]) -> float:
    """Run a step as `Trainer` does."""
    items = trainer._get_num_items_in_batch([batch], trainer.args.device)
    loss = trainer.training_step(trainer.model, batch, items)
    trainer.model.zero_grad()
    return loss.item()


def original_loss(model: Any, batch: dict[str, Any], options: argparse.Namespace) -> Any:
    """Return the loss of a batch as the original computes it: two passes, logits everywhere."""
    import torch

    from modeling.pooling import pool
    from trainers.contrastive_loss import nt_xent, pair_relations

    def part(rows: Any) -> tuple[Any, Any]:
        width = int(batch["attention_mask"][rows].sum(1).max())
        found = {name: batch[name][rows, :width] for name in PADDING}
        if options.side == "original-maximum":
            room = options.longest + 2 - width
            found = {
                name: torch.nn.functional.pad(values, (0, room), value=PADDING[name]) for name, values in found.items()
            }
        return found, found.pop("labels")

    anchors, labels = part(batch["anchor_rows"])
    labelled = {"labels": labels} if options.mlm_weight else {}
    output = model(**anchors, **labelled, output_hidden_states=True)
    first = pool(output.hidden_states[-1], anchors["attention_mask"])
    positives, _ = part(batch["positive_rows"].flatten())
    second = pool(model(**positives, output_hidden_states=True).hidden_states[-1], positives["attention_mask"])
    second = second.unflatten(0, batch["positive_rows"].shape).mean(1)
    keys = [batch[name] for name in ("document_keys", "patient_keys", "content_keys", "span_keys")]
    losses, _ = nt_xent(torch.cat((first, second)), pair_relations(*keys), 0.05)
    return losses.mean() + (options.mlm_weight * output.loss if options.mlm_weight else 0.0)


def autocast(trainer: Any, options: argparse.Namespace) -> Any:
    """Return the context of mixed precision, which a trainer's model brings with it."""
    import torch

    return torch.autocast(trainer.args.device.type, dtype=torch.bfloat16, enabled=options.bf16)


def original_step(trainer: Any, batch: dict[str, Any], options: argparse.Namespace) -> float:
    """Run a step in the original's way."""
    with autocast(trainer, options):
        loss = original_loss(trainer.model, batch, options)
    loss.backward()
    trainer.model.zero_grad()
    return loss.item()


def peer_step(trainer: Any, options: argparse.Namespace) -> Callable[[dict[str, Any]], float]:
    """Return a step of sentence-transformers' cached loss on the rows of a batch."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss

    with tempfile.TemporaryDirectory() as folder:
        from modeling.masked_positions import inner_model

        inner_model(trainer.model).base_model.save_pretrained(folder)
        trainer.processing_class.save_pretrained(folder)
        encoder = Transformer(folder)
    encoder.auto_model.set_attn_implementation("sdpa")
    modules = [encoder, Pooling(options.hidden_size)]
    model = SentenceTransformer(modules=modules, device=str(trainer.args.device)).train()
    loss_function = CachedMultipleNegativesRankingLoss(
        model,
        mini_batch_size=options.mini_batch_tokens // options.longest,
    )

    def step(batch: dict[str, Any]) -> float:
        features = []
        for rows in (batch["anchor_rows"], batch["positive_rows"][:, 0]):
            width = int(batch["attention_mask"][rows].sum(1).max())
            features.append({name: batch[name][rows, :width] for name in ("input_ids", "attention_mask")})
        with autocast(trainer, options):
            loss = loss_function(features, None)
        loss.backward()
        model.zero_grad()
        return loss.item()

    return step


def needed_operations(batch: dict[str, Any], options: argparse.Namespace) -> float:
    """Return the floating-point operations that a step needs on the real tokens, forward and backward."""
    width, layers = options.hidden_size, options.layers
    lengths = batch["attention_mask"].sum(1).double()
    encoder = 6 * 12 * width**2 * layers * float(lengths.sum()) + 12 * layers * width * float(lengths.square().sum())
    masked = float((batch["labels"] != -100).sum()) if options.mlm_weight else 0.0
    return encoder + 6 * masked * (width**2 + width * options.vocabulary)


def work(options: argparse.Namespace) -> dict[str, Any]:
    """Measure one side in this process."""
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(options, folder)
        few, batch = collated(trainer, 1), collated(trainer, options.documents)
        loss = None
        if options.side in ORIGINALS:
            step = lambda rows: original_step(trainer, rows, options)  # noqa: E731
        elif options.side == "sentence-transformers":
            step = peer_step(trainer, options)
        else:
            step = lambda rows: trainer_step(trainer, rows)  # noqa: E731
        if options.side in ("ours", *ORIGINALS):
            loss = evaluated_loss(trainer, few, options)
        found = measured(lambda: step(batch), lambda: step(few), options.steps)
    rows = batch["attention_mask"].shape[0]
    return found | {
        "loss": loss,
        "spans": rows,
        "tokens": int(batch["attention_mask"].sum()),
        "operations": needed_operations(batch, options),
    }


def evaluated_loss(trainer: Any, batch: dict[str, Any], options: argparse.Namespace) -> float:
    """Return the loss of a small batch without dropout."""
    import torch

    trainer.model.eval()
    with torch.no_grad():
        if options.side in ORIGINALS:
            loss = original_loss(trainer.model, batch, options)
        else:
            loss = trainer.compute_loss(trainer.model, batch)
    trainer.model.train()
    return loss.item()


def main() -> None:
    """Measure every side and print a table and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", nargs="+", default=["ours", "original"], choices=SIDES)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden_size", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=50_265)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--documents", type=int, default=4, help="two anchors each")
    parser.add_argument("--positives", type=int, default=2, help="an anchor")
    parser.add_argument("--shortest", type=int, default=32, help="span in tokens")
    parser.add_argument("--longest", type=int, default=254, help="span in tokens, two special tokens not counted")
    parser.add_argument("--mlm_weight", type=float, default=1.0)
    parser.add_argument("--mini_batch_tokens", type=int, default=2048)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--steps", type=int, default=2, help="the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak_tflops", type=float, help="of the device, for the utilisation")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(work(options)))
        return
    if "sentence-transformers" in options.sides and options.positives != 1:
        parser.error("the side sentence-transformers takes --positives 1")
    print("| | spans | real tokens | processor s | s | real tokens/s | peak MiB (above the start) | utilisation |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    found = {}
    for side in options.sides:
        one = in_a_process(__file__, sys.argv[1:], side, options.threads)
        if one is None:
            print(f"| {side} | did not get through | | | | | | |", flush=True)
            continue
        found[side] = one
        used = f"{one['operations'] / one['clock'] / options.peak_tflops / 1e10:.1f} %" if options.peak_tflops else ""
        print(
            f"| {side} | {one['spans']} | {one['tokens']:,} | {one['processor']:.2f} | {one['clock']:.2f} | "
            f"{one['tokens'] / one['clock']:,.0f} | {one['peak']:,.0f} ({one['above']:,.0f}) | {used} |",
            flush=True,
        )
    ours = found.get("ours")
    for side in found if ours else ():
        if side == "ours":
            continue
        other = found[side]
        print(
            f"\nours against {side}: x {other['processor'] / ours['processor']:.2f} in processor time, "
            f"x {other['clock'] / ours['clock']:.2f} by the clock; peak memory x {ours['peak'] / other['peak']:.2f} "
            f"({ours['above'] / other['above']:.2f} above the start)"
        )
        if other["loss"] is not None:
            print(f"losses of one document without dropout: {ours['loss']:.6f} and {other['loss']:.6f}")


if __name__ == "__main__":
    main()
