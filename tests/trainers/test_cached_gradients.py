"""Cached gradients equal those of one backward pass, dropout and all."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from collators import keep_long_enough, tokenize_documents
from modeling.adapters import add_lora
from modeling.unpadded import is_unpadded
from trainers import DeclutrArguments, DeclutrTrainer
from trainers.cached_gradients import RandomState, cached_loss


class Encoder(nn.Module):
    """Two layers with dropout, and a head whose loss each row has for itself."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 8), nn.Linear(8, 5), nn.Linear(5, 3)
        self.dropout = nn.Dropout(0.3)

    def forward(self, rows):
        vectors = self.second(self.dropout(self.first(rows).tanh()))
        return vectors, self.head(vectors).square().sum()


def coupled(vectors, projection):
    """A loss that no single row has."""
    unit = F.normalize(vectors @ projection, dim=1)
    return ((unit @ unit.T) / 0.1).logsumexp(1).sum()


@pytest.mark.parametrize("sizes", [(12,), (5, 4, 3), (1,) * 12])
def test_cached_equals_plain_with_dropout(sizes):
    torch.manual_seed(0)
    encoder = Encoder().double()
    projection = nn.Parameter(torch.randn(5, 4, dtype=torch.float64))
    unused = nn.Parameter(torch.ones(2, dtype=torch.float64))
    parts = torch.randn(12, 6, dtype=torch.float64).split(sizes)
    parameters = [*encoder.parameters(), projection]

    torch.manual_seed(1)
    encoded = [encoder(part) for part in parts]
    plain = coupled(torch.cat([one for one, _ in encoded]), projection) + sum(own for _, own in encoded)
    expected = torch.autograd.grad(plain, parameters)
    after = torch.get_rng_state()
    assert all(gradient.abs().max() > 1e-3 for gradient in expected)

    torch.manual_seed(1)
    passes, apart = [], []

    @contextmanager
    def unsynchronized():
        apart.append(len(passes))
        yield

    loss = cached_loss(
        parts,
        lambda part: encoder(part)[0],
        lambda vectors: coupled(vectors, projection),
        encoder,
        lambda carrier: (passes.append(len(apart)), carrier.backward()),
        torch.device("cpu"),
        lambda: [projection, unused],
        unsynchronized,
    )
    assert projection.grad is None  # comes with the last pass, which is the caller's
    loss.backward()
    assert loss.item() == pytest.approx(plain.item(), rel=1e-12)
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-6, atol=1e-9)
    # All but the last were back-propagated inside, each in its own context; the generator went on once.
    assert passes == list(range(1, len(sizes))) and len(apart) == len(sizes) - 1
    assert torch.equal(torch.get_rng_state(), after)


def test_without_replay_the_gradients_would_differ(monkeypatch):
    """The check above can fail: dropout that falls differently in the second pass shows."""
    torch.manual_seed(0)
    encoder, parts = Encoder().double(), torch.randn(12, 6, dtype=torch.float64).split(4)
    eye, found = torch.eye(5, dtype=torch.float64), []
    for replay in (True, False):
        if not replay:
            monkeypatch.setattr(RandomState, "restore", lambda self: None)
        torch.manual_seed(1)
        encoder.zero_grad()
        cached_loss(
            parts, lambda p: encoder(p)[0], lambda v: coupled(v, eye), encoder, torch.Tensor.backward, eye.device
        ).backward()
        found.append(encoder.first.weight.grad.clone())
    assert (found[0] - found[1]).abs().max() > 1e-2


def test_random_state_replays_and_gives_back():
    torch.manual_seed(5)
    state = RandomState.capture(torch.device("cpu"))
    first = torch.rand(3)
    second_expected = RandomState.capture(torch.device("cpu"))
    with state.replayed():
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), second_expected.cpu)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_random_state_of_a_gpu():
    device = torch.device("cuda", torch.cuda.current_device())
    state = RandomState.capture(device)
    first = torch.rand(3, device=device)
    present = torch.cuda.get_rng_state(device)
    with state.replayed():
        assert torch.equal(torch.rand(3, device=device), first)
    assert torch.equal(torch.cuda.get_rng_state(device), present)


def gradients(trainer, batches=1):
    """Train on the first micro-batches without a step of the optimizer; return loss and gradients."""
    torch.manual_seed(3)
    loader = iter(trainer.get_train_dataloader())
    samples = [next(loader) for _ in range(batches)]
    items = trainer._get_num_items_in_batch(samples, torch.device("cpu"))
    trainer.current_gradient_accumulation_steps = batches
    loss = sum(trainer.training_step(trainer.model, sample, items) for sample in samples)
    found = {name: one.grad for name, one in trainer.model.named_parameters() if one.requires_grad}
    return loss, found, trainer._train_meter.drain(trainer.accelerator)


@pytest.fixture(scope="module")
def documents_of(make_model, notes):
    """Tokenised documents of a family of encoders."""
    made = {}

    def make(family):
        if family not in made:
            tokenized = tokenize_documents(
                notes.select(range(14)), make_model(family)[1], keep_columns=["note_category"]
            )
            made[family] = keep_long_enough(tokenized, 8)[0]
        return made[family]

    return make


@pytest.fixture
def trainer_of(make_model, documents_of, tmp_path):
    """Make a `DeclutrTrainer`; with dropout, `tokens` a mini-batch, cached or not."""

    def make(cached, tokens=100, dropout=0.2, family="bert", lora=False, **options):
        model, tokenizer = make_model(family, dropout=dropout)
        if lora:
            model = add_lora(model, 2, dropout=0.1)
            for name, parameter in model.named_parameters():
                if "lora_B" in name:  # starts at zero, and would leave the other matrix without a gradient
                    nn.init.constant_(parameter, 0.1)
        options = {"min_span_length": 4, "max_span_length": 24, "per_device_train_batch_size": 6, **options}
        options["contrastive_mini_batch_tokens"] = tokens if cached else None
        arguments = DeclutrArguments(str(tmp_path), use_cpu=True, disable_tqdm=True, **options)
        trainer = DeclutrTrainer(model, arguments, processing_class=tokenizer, train_dataset=documents_of(family))
        trainer.chunk_tokens = tokens
        return trainer

    return make


CASES = {
    "masked LM": {},
    "read padded": {"unpadded": False},
    "an encoder that is read padded": {"family": "modernbert"},
    "contrastive alone": {"mlm_weight": 0.0},
    "clean anchors, padded to eights": {"clean_anchors": True, "pad_to_multiple_of": 8, "pooling": "cls"},
    "roberta": {"family": "roberta"},
    "LoRA": {"lora": True},
    "checkpointed activations": {"gradient_checkpointing": True},
    "categories": {"category_columns": ["note_category"], "category_head": "mlp", "category_weight": 1.0},
    "supervised contrastive": {
        "category_columns": ["note_category"],
        "category_loss": "supcon",
        "supcon_projection_size": 4,
        "category_view": "clean",
    },
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_cached_step_equals_a_plain_step_of_the_same_mini_batches(trainer_of, case):
    plain, cached = (gradients(trainer_of(flag, **CASES[case]), batches=2) for flag in (False, True))
    assert cached[0].item() == pytest.approx(plain[0].item(), rel=1e-5)
    assert set(plain[1]) == set(cached[1])
    for name, gradient in plain[1].items():
        if gradient is None:
            assert cached[1][name] is None
            continue
        # A key's bias shifts all scores of a query alike, which softmax takes out again.
        assert gradient.abs().max() > 1e-6 or name.endswith("key.bias"), name
        torch.testing.assert_close(cached[1][name], gradient, rtol=1e-4, atol=2e-6, msg=lambda m, n=name: f"{n}: {m}")
    assert cached[2] == pytest.approx(plain[2], rel=1e-4)


def test_without_dropout_neither_mini_batches_nor_padding_change_anything(trainer_of):
    whole = gradients(trainer_of(False, tokens=10**6, dropout=0.0, unpadded=False))
    cases = [(False, 60, True), (True, 60, True), (True, 1, True), (True, 10**6, True)]
    for cached, tokens, unpadded in [*cases, (False, 10**6, True), (True, 60, False)]:
        trainer = trainer_of(cached, tokens=tokens, dropout=0.0, unpadded=unpadded)
        assert is_unpadded(trainer.model) == unpadded
        parts = gradients(trainer)
        assert parts[0].item() == pytest.approx(whole[0].item(), rel=1e-5)
        for name, gradient in whole[1].items():
            torch.testing.assert_close(parts[1][name], gradient, rtol=1e-3, atol=2e-6)


def test_the_trainer_needs_the_replay_too(trainer_of, monkeypatch):
    """The cases above can fail."""
    replayed = gradients(trainer_of(True))
    monkeypatch.setattr(RandomState, "restore", lambda self: None)
    other = gradients(trainer_of(True))
    name = "bert.embeddings.word_embeddings.weight"
    assert (replayed[1][name] - other[1][name]).abs().max() > 1e-3


def test_cached_equals_plain_in_bf16(trainer_of):
    found = [gradients(trainer_of(False))]
    for cached in (False, True):
        trainer = trainer_of(cached, bf16=True)
        trainer.model = trainer.accelerator.prepare_model(trainer.model)
        found.append(gradients(trainer))
    exact, plain, mixed = (torch.cat([one.flatten() for one in gradient.values()]) for _, gradient, _ in found)
    assert F.cosine_similarity(plain, mixed, dim=0) > 0.9999
    torch.testing.assert_close(mixed.norm(), plain.norm(), rtol=1e-3, atol=0.0)
    # It is mixed precision: near what float32 gives, and not the same.
    assert F.cosine_similarity(exact, mixed, dim=0) > 0.99
    assert (exact - mixed).norm() > 1e-4 * exact.norm()


def test_resumed_is_uninterrupted(trainer_of, tmp_path):
    options = {"max_steps": 3, "save_steps": 2, "learning_rate": 1e-2, "gradient_accumulation_steps": 2}
    whole = trainer_of(True, **options)
    start = {name: one.detach().clone() for name, one in whole.model.named_parameters()}
    whole.train()
    again = trainer_of(True, **options)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    for (name, one), other in zip(whole.model.named_parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other) and not torch.equal(one, start[name]), name


def test_evaluation_does_not_depend_on_the_mini_batches(trainer_of):
    scores = []
    for cached, tokens in ((False, 10**6), (True, 60)):
        trainer = trainer_of(cached, tokens=tokens)
        scores.append(trainer.evaluate(trainer.train_dataset))
    for name in ("eval_loss", "eval_contrastive_loss", "eval_mlm_loss", "eval_contrastive_accuracy"):
        assert scores[0][name] == pytest.approx(scores[1][name], rel=1e-5), name


def test_a_budget_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="contrastive_mini_batch_tokens must be positive, got 0"):
        DeclutrArguments(str(tmp_path), contrastive_mini_batch_tokens=0)
