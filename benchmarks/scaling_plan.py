"""What a training step should cost on 1, 8 and 64 GPUs, by arithmetic: predictions, no measurements.

python benchmarks/scaling_plan.py
python benchmarks/scaling_plan.py --gpus 1 4 16 --peak_tflops 312 --memory_gib 40 --nvlink_gbytes 300  # an A100
python benchmarks/scaling_plan.py --layers 24 --hidden_size 1024 --intermediate_size 4096

The formulas are explained in docs/scaling.md, whose tables this script prints. Every assumption is an option.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

GIB = 2**30
FLOAT32, BFLOAT16 = 4, 2  # bytes
MASTER_BYTES = 4 * FLOAT32  # weight, gradient and the two states of AdamW
# DistributedDataParallel keeps its buckets beside the gradients; autocast keeps the weights in bfloat16.
DDP_BYTES = FLOAT32 + BFLOAT16
ADAMW_BYTES = 28  # read and written a parameter in an optimizer step
# Of a layer, a token and a hidden unit, without attention weights (Korthikanti et al. 2022, arXiv 2205.05198).
ACTIVATION_BYTES = 34
# What the contrastive loss holds at its peak for an entry of its matrix, counted for `trainers.contrastive_loss`.
MATRIX_BYTES = 23
# Exchanges of a DeCLUTR step beside the gradients: sizes, keys, embeddings and their gradient, sums, items.
COLLECTIVES = 6


@dataclass(frozen=True)
class Hardware:
    """One GPU, its machine and the network; the defaults are an H100 with NVLink and 400 Gb/s InfiniBand."""

    peak_tflops: float = 989.0  # bfloat16, dense
    float32_tflops: float = 67.0  # of the contrastive loss
    mfu: float = 0.35  # assumed: share of the peak that training reaches
    matrix_share: float = 0.7  # assumed: share of the float32 peak that the contrastive loss reaches
    memory_gib: float = 80.0
    memory_gbytes: float = 3350.0  # a second
    gpus_a_machine: int = 8
    nvlink_gbytes: float = 450.0  # a second, one direction of one GPU
    ports_a_machine: int = 8
    port_gbits: float = 400.0  # a second
    bandwidth_share: float = 0.8  # assumed: share of the bandwidth of links, and of memory, that is reached
    latency_us: float = 50.0  # assumed: of one collective over machines; a fifth of it within one

    def bandwidth(self, gpus: int) -> float:
        """Return the bytes a second at which a ring over so many GPUs passes any of them (NCCL's bus bandwidth).

        Rings run through all ports of a machine side by side.
        """
        inside = self.nvlink_gbytes * 1e9
        if gpus > self.gpus_a_machine:
            inside = min(inside, self.ports_a_machine * self.port_gbits / 8 * 1e9)
        return inside * self.bandwidth_share

    def latency(self, gpus: int) -> float:
        """Return the seconds that a collective takes however small it is."""
        if gpus == 1:
            return 0.0
        return self.latency_us * 1e-6 * (1.0 if gpus > self.gpus_a_machine else 0.2)


@dataclass(frozen=True)
class Encoder:
    """Shape of a masked language model; the defaults are roberta-base."""

    layers: int = 12
    hidden_size: int = 768
    intermediate_size: int = 3072
    vocabulary: int = 50_265
    positions: int = 514

    @property
    def matrices(self) -> int:
        """Return the weights of the layers' matrices, by which every token is multiplied."""
        return self.layers * (4 * self.hidden_size**2 + 2 * self.hidden_size * self.intermediate_size)

    @property
    def parameters(self) -> int:
        """Return all parameters, the masked-LM head with them; its decoder is tied to the embeddings."""
        hidden = self.hidden_size
        embeddings = (self.vocabulary + self.positions + 1 + 2) * hidden  # one token type, a layer norm
        vectors = self.layers * (4 * hidden + self.intermediate_size + hidden + 4 * hidden)
        head = hidden**2 + hidden + 2 * hidden + self.vocabulary
        return embeddings + self.matrices + vectors + head

    def flops_a_token(self, length: float, masked_share: float) -> float:
        """Return the operations of a forward and backward pass for a token.

        6 N for the layers' matrices, 12 x layers x hidden x length for the attention scores and what they weigh, and
        6 times the head's weights for each masked token.

        Args:
            length: Tokens that a token attends to, itself counted.
            masked_share: Of the tokens.
        """
        attention = 12 * self.layers * self.hidden_size * length
        head = 6 * self.hidden_size * (self.hidden_size + self.vocabulary)
        return 6 * self.matrices + attention + masked_share * head

    def activation_bytes(self, tokens: float, masked_share: float) -> float:
        """Return what a forward pass keeps for the backward pass, with the logits of the masked tokens."""
        logits = masked_share * self.vocabulary * BFLOAT16
        return tokens * (ACTIVATION_BYTES * self.layers * self.hidden_size + logits)


@dataclass(frozen=True)
class Job:
    """What each process does in a step.

    Args:
        name: In the tables.
        tokens: Real tokens of a process in a step.
        length: Tokens that a token attends to, on average.
        masked_share: Of the tokens.
        anchors: Of a process, each with one mean positive; 0 without a contrastive loss.
        passes: Forward and backward passes, one after another, that the gradients are summed over.
        cached: Whether gradients are cached: one forward pass more, activations of one pass.
    """

    name: str
    tokens: float
    length: float
    masked_share: float
    anchors: int = 0
    passes: int = 1
    cached: bool = False


@dataclass(frozen=True)
class Step:
    """A predicted step on so many GPUs; seconds, bytes, and tokens of all processes."""

    gpus: int
    tokens: float
    compute: float
    all_reduce_bytes: float
    all_reduce: float
    exposed: float
    gather_bytes: float
    gather: float
    matrix_side: int
    matrix: float
    matrix_bytes: float
    optimizer: float
    memory: float

    @property
    def seconds(self) -> float:
        """Return the whole step."""
        return self.compute + self.exposed + self.gather + self.matrix + self.optimizer

    @property
    def tokens_a_second(self) -> float:
        """Return the throughput of all GPUs."""
        return self.tokens / self.seconds


def mlm(rows: int = 16, length: int = 512, passes: int = 1, name: str | None = None) -> Job:
    """Return masked language modelling on full rows, 15 % masked, as in recipes/mlm_roberta_base.yaml."""
    return Job(name or f"MLM, {rows} x {length} tokens", rows * length * passes, length, 0.15, passes=passes)


def declutr(documents: int = 16, mini_batch_tokens: int | None = None) -> Job:
    """Return DeCLUTR with masked LM as in recipes/declutr_roberta_base.yaml.

    Two anchors of 8 + 248 x 4/6 tokens on average and four positives of 8 + 248 x 2/6 (beta distributions of Giorgi et
    al. 2021), two special tokens each; anchors are masked.

    Args:
        documents: Of a process.
        mini_batch_tokens: Of cached gradients; None without.
    """
    anchor, positive = 8 + 248 * 4 / 6 + 2, 8 + 248 * 2 / 6 + 2
    tokens = 2 * anchor + 4 * positive
    # A token of a long span attends to more; the spread within a kind of span, a few per cent, is left out.
    length = (2 * anchor**2 + 4 * positive**2) / tokens
    passes = -(-documents * tokens // (mini_batch_tokens or 16_384))
    name = f"DeCLUTR, {documents} documents{', cached gradients' if mini_batch_tokens else ''}"
    masked = 0.15 * 2 * anchor / tokens
    return Job(name, documents * tokens, length, masked, 2 * documents, int(passes), mini_batch_tokens is not None)


def predict(job: Job, encoder: Encoder, hardware: Hardware, gpus: int) -> Step:
    """Return the step of a job on so many GPUs, each with the whole model (DistributedDataParallel).

    Args:
        job: Of each process.
        encoder: Its shape.
        hardware: GPUs and network.
        gpus: One process each.
    """
    peak = hardware.peak_tflops * 1e12 * hardware.mfu
    useful = job.tokens * encoder.flops_a_token(job.length, job.masked_share)
    again = job.tokens * encoder.flops_a_token(job.length, 0.0) / 3 if job.cached else 0.0
    compute = (useful + again) / peak

    share, bandwidth = (gpus - 1) / gpus, hardware.bandwidth(gpus)
    reduced = 2 * share * FLOAT32 * encoder.parameters
    all_reduce = reduced / bandwidth + hardware.latency(gpus)
    # Gradients leave while the last pass goes backward, which is two thirds of it. Those of the first layers come last,
    # with the embeddings, so a tenth is never hidden.
    hidden = min(0.9 * all_reduce, useful / peak / job.passes * 2 / 3)

    vectors = 2 * job.anchors * gpus
    # Gathered once; their gradient, summed over the processes, passes a GPU twice.
    gathered = 3 * share * vectors * encoder.hidden_size * FLOAT32
    exchanges = COLLECTIVES if job.anchors else 1
    gather = (gathered / bandwidth + exchanges * hardware.latency(gpus)) if gpus > 1 else 0.0
    # The rows of a process's own vectors, in float32: once forward, twice backward.
    entries = 2 * job.anchors * vectors
    operations = 3 * 2 * entries * encoder.hidden_size
    matrix_bytes = MATRIX_BYTES * entries
    moved = 4 * matrix_bytes  # an entry is written and read about so often
    matrix = operations / (hardware.float32_tflops * 1e12 * hardware.matrix_share) + moved / (
        hardware.memory_gbytes * 1e9
    )

    held = job.tokens / job.passes if job.cached or not job.anchors else job.tokens
    memory = encoder.parameters * (MASTER_BYTES + (DDP_BYTES if gpus > 1 else BFLOAT16))
    memory += max(encoder.activation_bytes(held, job.masked_share), matrix_bytes if job.cached else 0.0)
    memory += 0.0 if job.cached else matrix_bytes
    return Step(
        gpus=gpus,
        tokens=job.tokens * gpus,
        compute=compute,
        all_reduce_bytes=reduced,
        all_reduce=all_reduce if gpus > 1 else 0.0,
        exposed=all_reduce - hidden if gpus > 1 else 0.0,
        gather_bytes=gathered,
        gather=gather,
        matrix_side=vectors,
        matrix=matrix,
        matrix_bytes=matrix_bytes,
        optimizer=encoder.parameters * ADAMW_BYTES / (hardware.memory_gbytes * 1e9 * hardware.bandwidth_share),
        memory=memory,
    )


def fsdp_traffic(encoder: Encoder, gpus: int, passes: int = 1) -> float:
    """Return the bytes of a step that pass each GPU under FSDP with bfloat16 weights and float32 gradients.

    Weights are gathered for each forward and each backward pass, and gradients summed after each.
    """
    return passes * (gpus - 1) / gpus * encoder.parameters * (2 * BFLOAT16 + FLOAT32)


JOBS = (
    mlm(),
    mlm(passes=4, name="MLM, 16 x 512 tokens, 4 accumulated"),
    mlm(rows=64),
    declutr(),
    declutr(64),
    declutr(256, 16_384),
)


def table(jobs: Sequence[Job], encoder: Encoder, hardware: Hardware, gpus: Sequence[int]) -> list[str]:
    """Return the rows of a Markdown table: each job on each number of GPUs."""
    rows = [
        "| a process's share | GPUs | tokens a step | compute ms | all-reduce MB | ms (exposed) | gather MB | ms | "
        "matrix side | ms | step ms | tokens/s | efficiency | memory GiB |",
        f"|---|{'---:|' * 13}",
    ]
    for job in jobs:
        alone = predict(job, encoder, hardware, 1)
        for count in gpus:
            step = predict(job, encoder, hardware, count)
            fits = "" if step.memory <= hardware.memory_gib * GIB else " (too much)"
            contrastive = f"{step.matrix_side:,} | {1e3 * step.matrix:.1f}" if job.anchors else " | "
            gathered = f"{step.gather_bytes / 1e6:.1f} | {1e3 * step.gather:.1f}" if job.anchors else " | "
            reduced = f"{step.all_reduce_bytes / 1e6:,.0f} | {1e3 * step.all_reduce:.1f} ({1e3 * step.exposed:.1f})"
            efficiency = step.tokens_a_second / count / alone.tokens_a_second
            rows.append(
                f"| {job.name} | {count} | {step.tokens:,.0f} | {1e3 * step.compute:.1f} | {reduced} | {gathered} | "
                f"{contrastive} | {1e3 * step.seconds:.1f} | {step.tokens_a_second:,.0f} | {efficiency:.0%} | "
                f"{step.memory / GIB:.1f}{fits} |"
            )
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Print the constants of an encoder, and a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64])
    for kind in (Hardware, Encoder):
        for one in fields(kind):
            parser.add_argument(f"--{one.name}", type=type(one.default), default=one.default)
    options = vars(parser.parse_args(argv))
    hardware, encoder = (kind(**{one.name: options[one.name] for one in fields(kind)}) for kind in (Hardware, Encoder))
    size = FLOAT32 * encoder.parameters
    print(f"parameters: {encoder.parameters:,}; of the layers' matrices: {encoder.matrices:,}")
    for job in (mlm(), declutr()):
        print(f"{job.name}: {encoder.flops_a_token(job.length, job.masked_share) / 1e6:.1f} MFLOP a token")
    print(f"gradients: {size / 1e6:.0f} MB in float32, {size / 2e6:.0f} MB in bfloat16")
    print("\n" + "\n".join(table(JOBS, encoder, hardware, options["gpus"])))
    apart = [count for count in options["gpus"] if count > hardware.gpus_a_machine]
    if apart and hardware.ports_a_machine > 1:
        print(f"\nWith one port of {hardware.port_gbits:g} Gb/s a machine in place of {hardware.ports_a_machine}:\n")
        print("\n".join(table(JOBS, encoder, replace(hardware, ports_a_machine=1), apart)))


if __name__ == "__main__":
    main()
