"""Encode documents of mixed lengths: `DocumentEncoder` against `SentenceTransformer.encode`, in float32.

python benchmarks/encode_mixed_lengths.py
python benchmarks/encode_mixed_lengths.py --model MODEL --documents 64

Documents of 30 to 570 made-up words, cut at 512 tokens on both sides. Without `--model` an encoder of the shape of
all-MiniLM-L6-v2 (6 layers of 384) with random weights. One process, one thread, the two in turn; the least of several
rounds counts, processor seconds beside seconds by the clock.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable

import numpy as np

WORDS = 5_000


def make_documents(count: int, seed: int) -> list[str]:
    """Return documents of 30 to 570 words, of which each is one token."""
    random = np.random.default_rng(seed)
    sizes = random.integers(30, 571, count)
    return [" ".join(f"w{word}" for word in random.integers(0, WORDS, size)) for size in sizes]


def save_encoder(folder: str) -> None:
    """Save an untrained encoder of the shape of all-MiniLM-L6-v2."""
    from transformers import BertConfig, BertModel, BertTokenizer, set_seed

    set_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(WORDS))]
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)}, model_max_length=512)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def timed(work: Callable[[], np.ndarray]) -> tuple[float, float, np.ndarray]:
    """Return processor seconds, seconds and the result."""
    processor, clock = time.process_time(), time.perf_counter()
    result = work()
    return time.process_time() - processor, time.perf_counter() - clock, result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="checkpoint folder or Hub id")
    parser.add_argument("--documents", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch_size", type=int, default=32)
    options = parser.parse_args()
    import torch
    from sentence_transformers import SentenceTransformer

    from modeling.document_encoder import DocumentEncoder

    torch.set_num_threads(options.threads)
    texts = make_documents(options.documents, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        if options.model is None:
            save_encoder(folder)
        source = options.model or folder
        peer = SentenceTransformer(source, device="cpu")
        peer.max_seq_length = 512
        ways = {"SentenceTransformer.encode": lambda: peer.encode(texts, batch_size=options.batch_size)}
        for unpadded in (False, True):
            ours = DocumentEncoder.from_pretrained(
                source, device="cpu", dtype="float32", max_length=512, windows="first", unpadded=unpadded
            )
            name = "DocumentEncoder" + ("" if unpadded else ", padded")
            ways[name] = lambda ours=ours: ours.encode(texts, options.batch_size)
        best = dict.fromkeys(ways, (float("inf"), float("inf")))
        results: dict[str, np.ndarray] = {}
        for work in ways.values():  # warm up
            work()[:0]
        for _ in range(options.rounds):
            for name, work in ways.items():
                processor, clock, results[name] = timed(work)
                best[name] = (min(best[name][0], processor), min(best[name][1], clock))
    first, (base, base_clock) = next(iter(best.items()))
    print("| | processor s | s | documents/processor s | ratio | ratio by the clock | largest difference |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, (processor, clock) in best.items():
        difference = np.abs(results[name] - results[first]).max()
        print(
            f"| {name} | {processor:.2f} | {clock:.2f} | {options.documents / processor:.1f} | "
            f"{base / processor:.2f} | {base_clock / clock:.2f} | {difference:.1e} |"
        )


if __name__ == "__main__":
    main()
