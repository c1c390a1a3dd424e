"""The linear-chain CRF: ours against pytorch-crf, in one process, on one thread.

pip install pytorch-crf
python benchmarks/crf.py                    # loss + gradient, and Viterbi, side by side
python benchmarks/crf.py --long             # ours alone on a sentence of 10,000 words with 83 tags
python benchmarks/crf.py --crossover        # ours alone, the loop against the tree

Scores are random. Both get the same ones and must give the same loss, gradients and paths. Runs of the two take turns;
seconds are processor time, which other jobs on the machine hardly touch, and the median is reported.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch

from modeling.crf import LinearChainCRF

# Batch, length, tags.
SIZES = [(14, 180, 19), (8, 512, 19), (32, 64, 5)]
CROSSOVER = [(batch, length, tags) for tags in (3, 9, 19) for batch in (1, 4, 16) for length in (64, 256, 1024)]


def take_turns(functions: list[Callable[[], object]], repeats: int) -> list[float]:
    """Measure functions in turn.

    Args:
        functions: What to run; each is run once before.
        repeats: Runs of each.

    Returns:
        Median seconds of processor time of each.
    """
    seconds: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(repeats):
        for own, function in zip(seconds, functions, strict=True):
            start = time.process_time()
            function()
            own.append(time.process_time() - start)
    return [statistics.median(own) for own in seconds]


def kept_bytes(loss: Callable[[], torch.Tensor]) -> int:
    """Bytes that autograd keeps for the backward pass of a loss, each storage once."""
    storages = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        held = loss()
    del held
    return sum(storages.values())


def side_by_side(size: tuple[int, int, int], repeats: int) -> list[str]:
    """Compare the two at one size.

    Args:
        size: Batch, length, tags.
        repeats: Runs of each.

    Returns:
        Two rows of a table.

    Raises:
        AssertionError: They disagree.
    """
    import torchcrf

    batch, length, tags = size
    theirs, ours = torchcrf.CRF(tags, batch_first=True), LinearChainCRF(tags)
    with torch.no_grad():
        ours.start.copy_(theirs.start_transitions)
        ours.end.copy_(theirs.end_transitions)
        ours.transitions.copy_(theirs.transitions)
    emissions = torch.randn(size, requires_grad=True)
    gold = torch.randint(tags, (batch, length))
    # Compared on lengths from half to whole (pytorch-crf needs the words at the start), timed on the whole.
    mask = torch.arange(length) < torch.randint(length // 2, length + 1, (batch, 1))

    def their_loss() -> torch.Tensor:
        return -theirs(emissions, gold, mask, reduction="mean")

    def our_loss() -> torch.Tensor:
        return -ours(emissions, gold, mask).mean()

    def step(crf: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> list[torch.Tensor]:
        emissions.grad = None
        crf.zero_grad()
        value = loss()
        value.backward()
        return [value.detach(), emissions.grad]

    def close(one: torch.Tensor, other: torch.Tensor) -> None:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)

    for one, other in zip(step(theirs, their_loss), step(ours, our_loss), strict=True):
        close(one, other)
    close(theirs.transitions.grad, ours.transitions.grad)
    paths = ours.decode(emissions, mask)
    assert theirs.decode(emissions, mask) == [row[kept].tolist() for row, kept in zip(paths, mask, strict=True)]

    mask[:] = True
    rows = []
    for name, functions in {
        "loss + gradient": [lambda: step(theirs, their_loss), lambda: step(ours, our_loss)],
        "Viterbi": [lambda: theirs.decode(emissions, mask), lambda: ours.decode(emissions, mask)],
    }.items():
        one, other = take_turns(functions, repeats)
        kept = [f"{kept_bytes(loss) / 2**20:.1f}" if name != "Viterbi" else "" for loss in (their_loss, our_loss)]
        rows.append(
            f"| {batch} x {length} x {tags} | {name} | {1e3 * one:.1f} | {1e3 * other:.1f} | {one / other:.1f} | "
            f"{kept[0]} | {kept[1]} |"
        )
    return rows


def long_sentence(length: int, tags: int) -> None:
    """Train on one sentence, decode it, and print seconds and memory."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    for algorithm in ("loop", "tree"):
        crf = LinearChainCRF(tags)
        crf.algorithm = algorithm
        emissions = torch.randn(1, length, tags, requires_grad=True)
        crf.decode(emissions[:, :10])
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        path = crf.decode(emissions)
        decoded = time.process_time()
        (-crf(emissions, path).mean()).backward()
        seconds = time.process_time() - decoded
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 2**20
        print(
            f"{algorithm}, 1 x {length:,} x {tags}: loss + gradient {seconds:.2f} CPU s, Viterbi {decoded - start:.2f} "
            f"CPU s, peak resident memory {peak:,.0f} MiB above the start"
        )


def crossover(repeats: int) -> None:
    """Print the loop against the tree."""
    print("| batch x length x tags | loop CPU ms | tree CPU ms | loop / tree |\n|---|---:|---:|---:|")
    for batch, length, tags in CROSSOVER:
        crf = LinearChainCRF(tags)
        emissions = torch.randn(batch, length, tags, requires_grad=True)
        gold = torch.randint(tags, (batch, length))

        def step(algorithm: str, crf: LinearChainCRF, *batch: torch.Tensor) -> None:
            crf.algorithm = algorithm
            crf(*batch).sum().backward()

        loop, tree = take_turns(
            [lambda a=a, c=crf, b=(emissions, gold): step(a, c, *b) for a in ("loop", "tree")], repeats
        )
        print(f"| {batch} x {length} x {tags} | {1e3 * loop:.1f} | {1e3 * tree:.1f} | {loop / tree:.2f} |", flush=True)


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, help="runs of each")
    parser.add_argument("--long", action="store_true", help="ours alone, one sentence of 10,000 words with 83 tags")
    parser.add_argument("--crossover", action="store_true", help="ours alone, the loop against the tree")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if arguments.long:
        long_sentence(10_000, 83)
    elif arguments.crossover:
        crossover(arguments.repeats)
    else:
        try:
            import torchcrf  # noqa: F401
        except ImportError:
            print("error: pytorch-crf is not installed; pip install pytorch-crf", file=sys.stderr)
            raise SystemExit(2) from None
        print("| batch x length x tags | | pytorch-crf CPU ms | ours CPU ms | ratio | MiB kept, pytorch-crf | ours |")
        print("|---|---|---:|---:|---:|---:|---:|")
        for size in SIZES:
            print("\n".join(side_by_side(size, arguments.repeats)), flush=True)


if __name__ == "__main__":
    main()
