"""Two processes give the loss and the gradients of one process with the whole batch."""

import json

import pytest
import torch
from transformers import AutoModelForMaskedLM

PROGRAM = """
import json, sys
import torch
from datasets import load_from_disk
from transformers import AutoModelForMaskedLM, AutoTokenizer
from collators import StreamOptions, cut_into_rows, keep_long_enough, stream_documents, tokenize_documents
from trainers import category_loss, declutr_trainer
from trainers.contrastive_loss import nt_xent
from trainers import (
    DeclutrArguments, DeclutrTrainer, MlmArguments, MlmTrainer, NoteCategoryArguments, NoteCategoryTrainer
)

folder, processes = sys.argv[1], int(sys.argv[2])
matrices = []

def watched(vectors, relations, *arguments, **options):
    matrices.append((*relations.positive.shape, len(vectors)))
    return nt_xent(vectors, relations, *arguments, **options)

declutr_trainer.nt_xent = category_loss.nt_xent = watched
tokenizer = AutoTokenizer.from_pretrained(folder + "/model")
tokenized = tokenize_documents(load_from_disk(folder + "/notes"), tokenizer, keep_columns=["ward"])
for objective, accumulation in json.loads(sys.argv[3]):
    rate = 0.2 if "dropout" in objective else 0.0
    model = AutoModelForMaskedLM.from_pretrained(
        folder + "/model", hidden_dropout_prob=rate, attention_probs_dropout_prob=rate
    )
    common = dict(
        output_dir=folder + "/run", use_cpu=True, disable_tqdm=True, max_steps=3, logging_steps=1, save_strategy="no",
        per_device_train_batch_size=8 // processes // (accumulation if processes > 1 else 1),
        gradient_accumulation_steps=accumulation if processes > 1 else 1,
        learning_rate=0.1, optim="sgd", lr_scheduler_type="constant", max_grad_norm=0.0,
    )
    if objective in ("mlm", "short_rows"):
        if objective == "short_rows":  # a row of eight tokens has none masked in one case of four
            common |= dict(per_device_train_batch_size=2 // processes, max_steps=12)
        rows = cut_into_rows(tokenized, tokenizer, 10 if objective == "short_rows" else 32, concatenate=False)
        trainer = MlmTrainer(
            model, MlmArguments(**common, per_device_eval_batch_size=4 // processes), processing_class=tokenizer,
            train_dataset=rows, eval_dataset=rows.select(range(5)),
        )
    elif objective in ("cross_entropy", "supcon"):
        arguments = NoteCategoryArguments(
            **common, category_columns=["note_category", "ward"], category_loss=objective, category_weight=1.0,
            category_balance="sampling" if objective == "supcon" else "effective", max_length=24,
        )
        documents = tokenized.filter(lambda row: row["length"] > 0)
        trainer = NoteCategoryTrainer(
            model, arguments, processing_class=tokenizer, train_dataset=documents,
            eval_dataset=documents.select(range(13)),
        )
    else:
        policies = dict(same_document="ignore", same_patient="positive") if objective == "policies" else {}
        if objective in ("cached", "cached_dropout"):
            policies = dict(contrastive_mini_batch_tokens=60)
        if objective == "memory":
            policies = dict(cross_batch_memory=20, cross_batch_memory_start=1)
        if objective in ("combined", "cached_combined"):
            policies = dict(category_columns=["note_category"], same_category="ignore", category_loss="supcon")
        if objective == "cached_combined":
            policies |= dict(contrastive_mini_batch_tokens=60, supcon_projection_size=8)
            common |= dict(gradient_accumulation_steps=2, per_device_train_batch_size=4 // processes)
        arguments = DeclutrArguments(**common, min_span_length=8, max_span_length=24, **policies)
        documents, _ = keep_long_enough(tokenized, 16)
        if objective == "streamed":
            documents = stream_documents(load_from_disk(folder + "/notes"), tokenizer, 16, StreamOptions(3))
        trainer = DeclutrTrainer(model, arguments, processing_class=tokenizer, train_dataset=documents)
        trainer.chunk_tokens = 60 if "dropout" in objective else 200  # several chunks
    trainer.train()
    # A process holds similarities of its own rows alone.
    assert bool(matrices) == (objective not in ("mlm", "short_rows", "cross_entropy"))
    assert all((rows < vectors) == (processes > 1) for rows, _, vectors in matrices)
    matrices.clear()
    if processes > 1:
        assert torch.distributed.get_world_size() == processes
        # The ranks must not have drifted apart.
        flat = torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])
        both = [torch.empty_like(flat) for _ in range(processes)]
        torch.distributed.all_gather(both, flat)
        assert torch.equal(*both)
    if trainer.is_world_process_zero():
        out = f"{folder}/{objective}-{accumulation}-{processes}"
        torch.save({name: parameter.detach() for name, parameter in trainer.model.named_parameters()}, out + ".pt")
        json.dump([line for line in trainer.state.log_history if "loss" in line], open(out + ".json", "w"))
    if trainer.eval_dataset is not None:
        scores = trainer.evaluate()
        if trainer.is_world_process_zero():
            json.dump(scores, open(out + "-scores.json", "w"))
if processes > 1:
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
"""
CASES = [("declutr", 1), ("streamed", 1), ("policies", 1), ("mlm", 1), ("mlm", 2), ("short_rows", 1)]
CASES += [("cross_entropy", 1), ("cross_entropy", 2), ("supcon", 1), ("combined", 1)]
CASES += [("cached", 1), ("cached_combined", 1), ("memory", 1)]
# Each process draws its own dropout, so that two are not one; cached and plain gradients are equal all the same.
WITH_DROPOUT = [("dropout", 1), ("cached_dropout", 1)]


@pytest.fixture(scope="module")
def folder(make_model, notes, run_forked, run_ranks, tmp_path_factory):
    """Train every case in one process and in two."""
    folder = tmp_path_factory.mktemp("processes")
    model, tokenizer = make_model("bert")
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    # Sixteen documents: the third step of eight lies in the second epoch. A short document has one
    # anchor, so that the processes hold different numbers of them.
    short = notes.select(range(16)).map(
        lambda note, number: {"text": " ".join(note["text"].split()[:20]) if number % 3 == 0 else note["text"]},
        with_indices=True,
    )
    # Some without a ward, so that the processes hold different numbers of documents that have one.
    short = short.add_column("ward", [None if number % 5 < 2 else "AB"[number % 2] for number in range(16)])
    short.save_to_disk(folder / "notes")
    (folder / "program.py").write_text(PROGRAM)
    run_forked(folder / "program.py", folder, 1, json.dumps(CASES + WITH_DROPOUT))
    run_ranks(folder / "program.py", folder, 2, json.dumps(CASES + WITH_DROPOUT))
    return folder


@pytest.mark.parametrize(("objective", "accumulation"), CASES)
def test_two_processes_equal_one(folder, objective, accumulation):
    one, two = (torch.load(folder / f"{objective}-{accumulation}-{processes}.pt") for processes in (1, 2))
    start = AutoModelForMaskedLM.from_pretrained(folder / "model").state_dict()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-5, atol=1e-5)
        if name not in start:  # a category head
            continue
        # Plain gradient descent: what the weights moved by is the gradient, so the two agree on that too.
        torch.testing.assert_close(two[name] - start[name], value - start[name], rtol=1e-3, atol=1e-5)
    one, two = (
        json.loads((folder / f"{objective}-{accumulation}-{processes}.json").read_text()) for processes in (1, 2)
    )
    assert len(one) == len(two) == (12 if objective == "short_rows" else 3)
    for first, second in zip(one, two, strict=True):
        for name in set(first) - {"spans_per_second", "tokens_per_second", "documents_per_second", "epoch"}:
            assert second[name] == pytest.approx(first[name], rel=1e-4), name


def test_cached_gradients_equal_plain_ones(folder):
    plain, cached = (torch.load(folder / f"{objective}-1-2.pt") for objective in ("declutr", "cached"))
    for name, value in plain.items():
        torch.testing.assert_close(cached[name], value, rtol=1e-5, atol=1e-5)


def test_cached_gradients_replay_the_dropout_of_each_process(folder):
    names = ("declutr", "dropout", "cached_dropout")
    without, plain, cached = (torch.load(folder / f"{objective}-1-2.pt") for objective in names)
    for name, value in plain.items():
        torch.testing.assert_close(cached[name], value, rtol=1e-4, atol=1e-5)
    assert max((plain[name] - without[name]).abs().max() for name in plain) > 1e-2


@pytest.mark.parametrize("objective", ["cross_entropy", "supcon"])
def test_two_processes_score_the_documents_of_one(folder, objective):
    """Thirteen documents: the last batch of two processes repeats some."""
    one, two = (json.loads((folder / f"{objective}-1-{processes}-scores.json").read_text()) for processes in (1, 2))
    for column in ("note_category", "ward"):
        for score in ("accuracy", "f1_macro", "silhouette"):
            name = f"eval_{column}_{score}"
            assert two[name] == pytest.approx(one[name], rel=2e-3), name
    # The supervised contrastive loss is of a batch, and batches differ.
    losses = ["eval_mlm_loss", *(["eval_loss"] if objective == "cross_entropy" else [])]
    assert {name: two[name] for name in losses} == pytest.approx({name: one[name] for name in losses}, rel=1e-4)


def test_two_processes_score_the_rows_of_one(folder):
    """Five rows: the last batch of two processes repeats three."""
    one, two = (json.loads((folder / f"mlm-1-{processes}-scores.json").read_text()) for processes in (1, 2))
    for name in ("eval_loss", "eval_mlm_accuracy"):
        assert two[name] == pytest.approx(one[name], rel=1e-4), name


def test_processes_without_a_masked_token_keep_step(folder):
    lines = json.loads((folder / "short_rows-1-2.json").read_text())
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert all("mlm_accuracy" in line or line["loss"] == 0 for line in lines)
