"""Cross-batch memory: the loss against plain loops, what is left out, and that a resumed run has the same memory."""

import math

import pytest
import torch

from collators import keep_long_enough, tokenize_documents
from corpora.errors import InputError
from modeling.adapters import add_lora
from trainers import DeclutrArguments, DeclutrTrainer
from trainers.contrastive_loss import nt_xent, pair_relations
from trainers.cross_batch_memory import MEMORY_FILE, CrossBatchMemory, vector_keys

COMMON = {"use_cpu": True, "disable_tqdm": True, "per_device_train_batch_size": 4, "lr_scheduler_type": "constant"}
COMMON |= {"learning_rate": 1e-2, "save_strategy": "no", "logging_steps": 1, "cross_batch_memory_start": 0}


def make_trainer(make_model, notes, folder, model=None, documents=24, **options):
    plain, tokenizer = make_model("bert", dropout=options.pop("dropout", 0.0))
    arguments = DeclutrArguments(
        str(folder), **{**COMMON, "min_span_length": 4, "max_span_length": 24, "num_positives": 1, **options}
    )
    tokenized, _ = keep_long_enough(tokenize_documents(notes, tokenizer), 8)
    return DeclutrTrainer(
        model or plain,
        arguments,
        processing_class=tokenizer,
        train_dataset=tokenized.select(range(documents)),
        eval_dataset=tokenized.select(range(24, 40)),
    )


def parameters(trainer):
    return {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}


def batch_keys(documents, patients, contents, categories):
    """Keys of anchors; spans are numbered from 100 on, but for two given by hand."""
    count = len(documents)
    spans = torch.arange(100, 100 + 2 * count).view(2, count)
    names = ("document_keys", "patient_keys", "content_keys", "category_keys")
    values = map(torch.tensor, (documents, patients, contents, categories))
    return {**dict(zip(names, values, strict=True)), "span_keys": spans}


NOW = batch_keys([0, 0, 1, 2], [50, 50, 50, 51], [60, 60, 61, 62], [70, 70, 71, 71])
EARLIER = batch_keys([0, 1, 3, 4, 5], [50, 50, 50, 52, 53], [60, 61, 63, 62, 64], [70, 71, 70, 72, 71])
# Of the last: its anchor is the tokens of the first anchor now, its positive those of the third positive now.
EARLIER["span_keys"] = torch.tensor([[1, 2, 3, 4, 100], [5, 6, 7, 8, 106]])


def is_left_out(row, column, same_patient, same_category):
    """Say for a vector of the batch and one of the memory, each counted among the anchors and positives."""
    one, other = row % 4, column % 5
    mine, theirs = ({name: keys.flatten().tolist() for name, keys in part.items()} for part in (NOW, EARLIER))
    if any(mine[name][one] == theirs[name][other] for name in ("document_keys", "content_keys")):
        return True
    if theirs["span_keys"][column] in (mine["span_keys"][row], mine["span_keys"][(row + 4) % 8]):
        return True
    if mine["patient_keys"][one] == theirs["patient_keys"][other]:
        return same_patient != "hard_negative"
    return mine["category_keys"][one] == theirs["category_keys"][other] and same_category != "negative"


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize(
    ("same_document", "same_patient", "same_category"),
    [
        ("hard_negative", "hard_negative", "negative"),
        ("ignore", "positive", "ignore"),
        ("positive", "ignore", "negative"),
    ],
)
def test_the_loss_equals_plain_loops(decoupled, same_document, same_patient, same_category):
    generator = torch.Generator().manual_seed(1)
    vectors, kept = (torch.randn(count, 6, generator=generator) for count in (8, 10))
    memory = CrossBatchMemory(10)
    memory.add(kept, vector_keys(**EARLIER))
    inside = pair_relations(**NOW, same_document=same_document, same_patient=same_patient, same_category=same_category)
    widened = memory.widened(inside, vector_keys(**NOW), same_patient, same_category)
    losses, hits = nt_xent(vectors, widened, 0.2, decoupled=decoupled, memory=memory.vectors)
    unit, far = (part.double() / part.double().norm(dim=1, keepdim=True) for part in (vectors, kept))
    left_out = 0
    for row in range(8):
        cosines = [float(unit[row] @ other) / 0.2 for other in unit]
        positives = [other for other in range(8) if inside.positive[row, other]]
        terms = [
            cosines[other]
            for other in range(8)
            if not inside.excluded[row, other] and not (decoupled and other in positives)
        ]
        for column in range(10):
            if is_left_out(row, column, same_patient, same_category):
                left_out += 1
            else:
                terms.append(float(unit[row] @ far[column]) / 0.2)
        denominator = math.log(sum(map(math.exp, terms)))
        expected = -sum(cosines[other] - denominator for other in positives) / len(positives)
        assert losses[row].item() == pytest.approx(expected, abs=1e-5)
    assert 0 < left_out < 80
    rows = torch.tensor([1, 2, 5, 6])
    some = pair_relations(
        **NOW, same_document=same_document, same_patient=same_patient, same_category=same_category, rows=rows
    )
    some = memory.widened(some, vector_keys(**NOW), same_patient, same_category, rows)
    assert torch.equal(some.positive, widened.positive[rows]) and torch.equal(some.excluded, widened.excluded[rows])
    # Nearest neighbours are sought in the batch alone, so that the accuracy means the same with and without.
    assert torch.equal(hits, nt_xent(vectors, inside, 0.2)[1])


def test_the_oldest_vectors_go_first_and_carry_no_graph():
    memory = CrossBatchMemory(6)
    keys = vector_keys(**batch_keys([0, 1], [0, 1], [0, 1], [0, 1]))
    for number in range(3):
        memory.add(torch.full((4, 2), float(number), dtype=torch.bfloat16, requires_grad=True), keys + number)
    assert memory.vectors[:, 0].tolist() == [1, 1, 2, 2, 2, 2] and len(memory) == 6
    assert memory.keys[:, 0].tolist() == [1, 2, 2, 3, 2, 3]
    assert memory.vectors.dtype == torch.float32 and not memory.vectors.requires_grad
    broken = torch.ones(4, 2)
    broken[1, 0], broken[2, 1] = math.nan, math.inf
    memory.add(broken, keys)
    assert memory.vectors[:, 0].tolist() == [2, 2, 2, 2, 1, 1]


def test_a_step_reads_the_vectors_of_the_steps_before(make_model, notes, tmp_path):
    """With a rate of 0 the embeddings do not drift, so that the loss of a step can be told from its documents."""
    trainer = make_trainer(make_model, notes, tmp_path, cross_batch_memory=1000, max_steps=3, learning_rate=0.0)
    seen = []
    terms = trainer.embedding_terms
    trainer.embedding_terms = lambda embeddings, inputs: (
        seen.append((embeddings.detach(), inputs)) or terms(embeddings, inputs)
    )
    trainer.train()
    logged = [line["contrastive_loss"] for line in trainer.state.log_history if "contrastive_loss" in line]
    units, documents = [], []
    for (embeddings, inputs), found in zip(seen, logged, strict=True):
        rows = torch.cat((inputs["anchor_rows"], inputs["positive_rows"][:, 0]))
        unit = embeddings[rows].double()
        unit = unit / unit.norm(dim=1, keepdim=True)
        names, count = inputs["document_keys"].tolist() * 2, len(rows) // 2
        losses = []
        for row in range(2 * count):
            terms_ = [float(unit[row] @ unit[other]) / 0.05 for other in range(2 * count) if other != row]
            for vector, name in zip(units, documents, strict=True):
                if name != names[row]:
                    terms_.append(float(unit[row] @ vector) / 0.05)
            losses.append(
                math.log(sum(map(math.exp, terms_))) - float(unit[row] @ unit[(row + count) % (2 * count)]) / 0.05
            )
        assert found == pytest.approx(sum(losses) / len(losses), rel=1e-4)
        units += list(unit)
        documents += names
    assert len(trainer.memory) == len(units)


@pytest.mark.parametrize(
    ("lora", "options"),
    [
        (False, {}),
        (True, {"contrastive_mini_batch_tokens": 60, "decoupled": True}),
        (False, {"bf16": True, "gradient_accumulation_steps": 2}),
    ],
    ids=["plain", "cached_lora", "mixed"],
)
def test_every_trained_parameter_moves_otherwise_than_without(make_model, notes, tmp_path, lora, options):
    moved = []
    for size in (0, 20):
        torch.manual_seed(0)
        model = add_lora(make_model("bert")[0], 2) if lora else None
        trainer = make_trainer(make_model, notes, tmp_path, model, cross_batch_memory=size, max_steps=3, **options)
        before = parameters(trainer)
        trainer.train()
        trained = {name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad}
        moved.append(parameters(trainer))
        assert {name for name in before if not torch.equal(before[name], moved[-1][name])} == trained
    assert len(trainer.memory) == 20
    encoder = [name for name in trained if "cls" not in name]
    assert encoder and not [name for name in encoder if torch.equal(moved[0][name], moved[1][name])]


def test_cached_gradients_and_memory_equal_plain_ones(make_model, notes, tmp_path):
    options = {"cross_batch_memory": 30, "max_steps": 3, "optim": "sgd", "learning_rate": 0.1, "max_grad_norm": 0.0}
    plain, cached = (
        make_trainer(make_model, notes, tmp_path, contrastive_mini_batch_tokens=tokens, **options)
        for tokens in (None, 60)
    )
    plain.train()
    cached.train()
    for one, other in zip(plain.model.parameters(), cached.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(plain.memory.vectors, cached.memory.vectors, rtol=1e-4, atol=1e-5)
    assert torch.equal(plain.memory.keys, cached.memory.keys)


def test_the_memory_begins_at_its_start_and_evaluation_leaves_it_alone(make_model, notes, tmp_path):
    trainer = make_trainer(
        make_model, notes, tmp_path, cross_batch_memory=999, max_steps=4, cross_batch_memory_start=0.5
    )
    sizes = []
    step = trainer.training_step
    trainer.training_step = lambda *words: (step(*words), sizes.append(len(trainer.memory)))[0]
    trainer.train()
    assert sizes[:2] == [0, 0] and 0 < sizes[2] < sizes[3]
    vectors, scores = trainer.memory.vectors.clone(), trainer.evaluate()
    assert torch.equal(trainer.memory.vectors, vectors)
    memory, trainer.memory = trainer.memory, None
    assert trainer.evaluate()["eval_contrastive_loss"] == scores["eval_contrastive_loss"]
    trainer.memory = memory
    trainer.args.cross_batch_memory_start = 3.0
    sizes.clear()
    trainer.train()  # anew, with an empty memory
    assert sizes[:3] == [0, 0, 0] and sizes[3] > 0


def test_a_resumed_run_equals_an_uninterrupted_one(make_model, notes, tmp_path):
    options = {"cross_batch_memory": 20, "max_steps": 6, "dropout": 0.1, "gradient_accumulation_steps": 2}
    options |= {"cross_batch_memory_start": 1, "save_strategy": "steps", "save_steps": 3, "documents": 20}
    whole = make_trainer(make_model, notes, tmp_path / "whole", **options)
    whole.train()
    resumed = make_trainer(make_model, notes, tmp_path / "whole", **options)
    resumed.memory.add(torch.ones(4, 3), torch.ones(4, 5, dtype=torch.int64))  # gives way to that of the checkpoint
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    assert len(whole.memory) == 20
    assert torch.equal(whole.memory.vectors, resumed.memory.vectors)
    assert torch.equal(whole.memory.keys, resumed.memory.keys)
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)
    # The memory is what makes them equal: with another one, the weights are others.
    file = tmp_path / "whole" / "checkpoint-3" / MEMORY_FILE
    stored = torch.load(file, weights_only=True)
    assert 0 < len(stored["vectors"]) <= 20
    torch.save({**stored, "vectors": stored["vectors"].flip(1)}, file)
    other = make_trainer(make_model, notes, tmp_path / "whole", **options)
    other.train(resume_from_checkpoint=str(file.parent))
    pairs = zip(whole.model.parameters(), other.model.parameters(), strict=True)
    assert not all(torch.equal(one, two) for one, two in pairs)
    file.unlink()
    with pytest.raises(InputError, match="holds no cross-batch memory"):
        make_trainer(make_model, notes, tmp_path / "whole", **options).train(resume_from_checkpoint=str(file.parent))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cross_batch_memory": -1}, "must not be negative"),
        ({"cross_batch_memory_start": -0.1}, "must not be negative"),
        ({"cross_batch_memory": 8, "contrastive_weight": 0.0}, "contrastive_weight 0 leaves out"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        DeclutrArguments(str(tmp_path), use_cpu=True, **options)
