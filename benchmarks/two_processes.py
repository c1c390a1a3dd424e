"""The same global batch in one process and in two (torchrun, gloo): tokens a second and processor time a token.

python benchmarks/two_processes.py
python benchmarks/two_processes.py --objective mlm --documents 16 --steps 5

Untrained encoder, random token ids, one thread a process, `DistributedDataParallel`. Two processes compute what one
does, with half of the documents each; what they take more is the price of the exchange: gradients, embeddings, waiting.
On a machine that does other work, processor time says more than the clock; gloo waits without using a processor, so
that waiting shows by the clock alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from made_up_training import made_up_documents, made_up_tokenizer, untrained_encoder


def make_trainer(options: argparse.Namespace, folder: str, processes: int) -> Any:
    """Return the trainer of one of the processes."""
    from collators import cut_into_rows
    from trainers import DeclutrArguments, DeclutrTrainer, MlmArguments, MlmTrainer

    tokenizer = made_up_tokenizer(options.vocabulary)
    documents = made_up_documents(options.documents, options.vocabulary)
    model = untrained_encoder("bert", options.layers, options.hidden_size, 0.1, tokenizer)
    common: dict[str, Any] = {
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "max_steps": 1 + options.steps,
        "logging_steps": 1 + options.steps,
        "include_num_input_tokens_seen": "non_padding",
    }
    if options.objective == "mlm":
        rows = cut_into_rows(documents, tokenizer, 512, concatenate=True)
        rows = rows.select(range(options.documents))
        arguments = MlmArguments(folder, per_device_train_batch_size=options.documents // processes, **common)
        return MlmTrainer(model, arguments, processing_class=tokenizer, train_dataset=rows)
    arguments = DeclutrArguments(
        folder,
        per_device_train_batch_size=options.documents // processes,
        min_span_length=32,
        contrastive_mini_batch_tokens=options.mini_batch_tokens,
        **common,
    )
    return DeclutrTrainer(model, arguments, processing_class=tokenizer, train_dataset=documents)


def work(options: argparse.Namespace) -> None:
    """Train, and print what the steps after the first took in all processes."""
    import torch
    from transformers import TrainerCallback

    torch.set_num_threads(1)
    processes = int(os.environ["WORLD_SIZE"])
    marks: list[tuple[float, float, int]] = []

    class Clock(TrainerCallback):
        """Reads the clocks after each step."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Read them."""
            marks.append((time.process_time(), time.perf_counter(), int(state.num_input_tokens_seen)))

    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(options, folder, processes)
        trainer.add_callback(Clock())
        trainer.train()
    first, last = marks[0], marks[-1]
    spent = trainer.accelerator.reduce(torch.tensor([last[0] - first[0]], dtype=torch.float64), reduction="sum")
    if trainer.is_world_process_zero():
        logs = next(line for line in reversed(trainer.state.log_history) if "loss" in line)
        found = {"processor": float(spent), "clock": last[1] - first[1], "tokens": last[2] - first[2]}
        print(json.dumps(found | {"loss": logs["loss"]}), flush=True)
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def measure(processes: int) -> dict[str, float]:
    """Run so many processes of this script, and read what the first prints."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*launcher, __file__, *sys.argv[1:], "--worker"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        sys.exit(result.stderr[-3000:])
    return json.loads(next(line for line in reversed(result.stdout.splitlines()) if line.startswith('{"processor"')))


def main() -> None:
    """Measure one process and two, and print a table and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objective", choices=("declutr", "mlm"), default="declutr")
    parser.add_argument("--documents", type=int, default=8, help="of a step, over all processes; rows of 512 for mlm")
    parser.add_argument("--steps", type=int, default=4, help="that are measured, after one that is not")
    parser.add_argument("--mini_batch_tokens", type=int, help="cached gradients, with such mini-batches")
    parser.add_argument("--hidden_size", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=8_000)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
        return
    if options.documents % 2:
        parser.error("--documents has to be even")
    print("| processes | real tokens | seconds | tokens/s | processor seconds | processor us a token |")
    print("|---:|---:|---:|---:|---:|---:|")
    found = {}
    for processes in (1, 2):
        one = found[processes] = measure(processes)
        print(
            f"| {processes} | {one['tokens']:,.0f} | {one['clock']:.1f} | {one['tokens'] / one['clock']:,.0f} | "
            f"{one['processor']:.1f} | {1e6 * one['processor'] / one['tokens']:.1f} |",
            flush=True,
        )
    each = {count: one["processor"] / one["tokens"] for count, one in found.items()}
    print(f"\nprocessor time a token, two processes over one: x {each[2] / each[1]:.3f}")
    if options.steps and abs(found[1]["tokens"] - found[2]["tokens"]) > 0:
        print("the processes did not read the same tokens: the spans of a step differ")


if __name__ == "__main__":
    main()
