"""The contrastive loss against plain loops, against pytorch-metric-learning, and its policies case by case."""

import math

import numpy as np
import pytest
import torch

from trainers.contrastive_loss import alignment_uniformity_sums, nt_xent, pair_relations


def unrelated(count):
    """Keys of anchors that have nothing in common."""
    return {
        "document_keys": torch.arange(count),
        "patient_keys": torch.arange(count),
        "content_keys": torch.arange(count),
        "span_keys": torch.arange(2 * count).view(2, count),
    }


def loss_by_loops(vectors, positive, excluded, temperature):
    vectors = vectors.double().numpy()
    losses = []
    for i, row in enumerate(vectors):
        similarity = [
            float(row @ other / np.linalg.norm(row) / np.linalg.norm(other)) / temperature for other in vectors
        ]
        total = sum(math.exp(similarity[k]) for k in range(len(vectors)) if not excluded[i, k])
        terms = [-math.log(math.exp(similarity[k]) / total) for k in range(len(vectors)) if positive[i, k]]
        losses.append(sum(terms) / len(terms))
    return torch.tensor(losses, dtype=torch.float64)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-9), (torch.float32, 1e-5), (torch.bfloat16, 1e-5), (torch.float16, 1e-5)],
)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_equals_plain_loops(dtype, tolerance, count):
    torch.manual_seed(count)
    vectors = torch.randn(2 * count, 12).to(dtype)
    relations = pair_relations(**unrelated(count))
    losses, _ = nt_xent(vectors, relations, 0.05)
    expected = loss_by_loops(vectors, relations.positive, relations.excluded, 0.05)
    assert losses.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(losses.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("same_document", ["hard_negative", "ignore", "positive"])
@pytest.mark.parametrize("same_patient", ["hard_negative", "ignore", "positive"])
def test_policies_equal_plain_loops(same_document, same_patient):
    torch.manual_seed(0)
    keys = unrelated(6)
    keys["document_keys"] = torch.tensor([0, 0, 1, 1, 2, 3])
    keys["patient_keys"] = torch.tensor([9, 9, 9, 9, 8, 7])
    keys["content_keys"] = torch.tensor([5, 5, 6, 6, 7, 7])  # documents 2 and 3 have the same text
    relations = pair_relations(**keys, same_document=same_document, same_patient=same_patient)
    document, patient, content = (keys[name].tolist() for name in ("document_keys", "patient_keys", "content_keys"))
    for i in range(12):
        for k in range(12):
            a, b = i % 6, k % 6
            if i == k:
                kind = "excluded"
            elif a == b:
                kind = "positive"
            elif document[a] == document[b]:
                kind = {"hard_negative": "negative", "ignore": "excluded", "positive": "positive"}[same_document]
            elif content[a] == content[b]:
                kind = "excluded"
            elif patient[a] == patient[b]:
                kind = {"hard_negative": "negative", "ignore": "excluded", "positive": "positive"}[same_patient]
            else:
                kind = "negative"
            assert bool(relations.positive[i, k]) == (kind == "positive"), (i, k)
            assert bool(relations.excluded[i, k]) == (kind == "excluded"), (i, k)
    vectors = torch.randn(12, 5, dtype=torch.float64)
    losses, _ = nt_xent(vectors, relations, 0.1)
    expected = loss_by_loops(vectors, relations.positive, relations.excluded, 0.1)
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("same_document", ["hard_negative", "ignore", "positive"])
def test_decoupled_equals_plain_loops(same_document):
    vectors = torch.randn(12, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    keys = {**unrelated(6), "document_keys": torch.tensor([0, 0, 1, 2, 2, 2])}
    relations = pair_relations(**keys, same_document=same_document)
    losses, _ = nt_xent(vectors, relations, 0.2, decoupled=True)
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    for row in range(12):
        cosines = [float(unit[row] @ unit[other]) / 0.2 for other in range(12)]
        positives = [other for other in range(12) if relations.positive[row, other]]
        negatives = [other for other in range(12) if not relations.excluded[row, other] and other not in positives]
        denominator = math.log(sum(math.exp(cosines[other]) for other in negatives))
        expected = -sum(cosines[other] - denominator for other in positives) / len(positives)
        assert losses[row].item() == pytest.approx(expected, abs=1e-12)


def test_decoupled_without_negatives_has_no_loss_and_a_gradient():
    vectors = torch.randn(2, 4, requires_grad=True)
    losses, _ = nt_xent(vectors, pair_relations(**unrelated(1)), 0.05, decoupled=True)
    losses.sum().backward()
    assert losses.tolist() == [0, 0] and vectors.grad.abs().sum() == 0


def test_vectors_of_the_same_tokens_are_never_negatives():
    # The same document twice in a batch: its anchors, and its positives, are the same spans.
    keys = unrelated(3)
    keys["document_keys"] = torch.tensor([0, 0, 1])
    keys["content_keys"] = torch.tensor([0, 0, 1])
    keys["span_keys"] = torch.tensor([[10, 10, 11], [20, 20, 21]])
    for policy in ("hard_negative", "positive"):
        relations = pair_relations(**keys, same_document=policy)
        # Row 0 (anchor), its twin 1, its positive 3, the twin's positive 4.
        assert relations.positive[0].tolist() == [False, False, False, True, False, False]
        assert relations.excluded[0].tolist() == [True, True, False, False, True, False]


def test_a_single_pair_has_no_negatives_and_no_loss():
    vectors = torch.randn(2, 4, requires_grad=True)
    losses, hits = nt_xent(vectors, pair_relations(**unrelated(1)), 0.05)
    assert losses.tolist() == [0.0, 0.0] and hits.all()
    losses.sum().backward()
    assert torch.isfinite(vectors.grad).all()


def test_gradient_is_right():
    torch.manual_seed(1)
    vectors = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    relations = pair_relations(
        **{**unrelated(4), "document_keys": torch.tensor([0, 0, 1, 2])}, same_document="positive"
    )
    assert torch.autograd.gradcheck(lambda v: nt_xent(v, relations, 0.3)[0], (vectors,))


def test_hits_count_nearest_neighbours():
    anchors = torch.eye(3)
    positives = torch.tensor([[1.0, 0.1, 0.0], [0.0, 0.1, 1.0], [0.0, 0.0, 1.0]])
    _, hits = nt_xent(torch.cat((anchors, positives)), pair_relations(**unrelated(3)), 0.05)
    assert hits[:3].tolist() == [True, False, True]


def test_autocast_does_not_reach_the_loss():
    vectors = torch.randn(8, 16)
    relations = pair_relations(**unrelated(4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = nt_xent(vectors, relations, 0.05)
    assert torch.equal(mixed, nt_xent(vectors, relations, 0.05)[0])


def test_equals_pytorch_metric_learning():
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    torch.manual_seed(2)
    vectors = torch.randn(20, 8, dtype=torch.float64)
    ours, _ = nt_xent(vectors, pair_relations(**unrelated(10)), 0.05)
    theirs = losses.NTXentLoss(temperature=0.05)(vectors, torch.arange(10).repeat(2))
    torch.testing.assert_close(ours.mean(), theirs, rtol=1e-7, atol=1e-9)


def test_alignment_and_uniformity_equal_their_definitions():
    torch.manual_seed(3)
    anchors, positives = torch.randn(5, 4), torch.randn(5, 4)
    alignment, exponentials = alignment_uniformity_sums(anchors, positives)
    x, y = (part.double() / part.double().norm(dim=1, keepdim=True) for part in (anchors, positives))
    distances = torch.pdist(x).square()
    assert (alignment / 5).item() == pytest.approx((x - y).norm(dim=1).square().mean().item(), rel=1e-5)
    # 5 x 4 ordered pairs.
    assert (exponentials / 20).log().item() == pytest.approx(distances.mul(-2).exp().mean().log().item(), rel=1e-5)
    parts = [alignment_uniformity_sums(anchors, positives, rows) for rows in (slice(0, 2), slice(2, 5))]
    torch.testing.assert_close(sum(torch.stack(part) for part in parts), torch.stack((alignment, exponentials)))


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("rows", [[0, 1, 6, 7], [3, 9], [5, 4, 11]])
def test_some_rows_have_the_losses_that_they_have_among_all(rows, decoupled):
    torch.manual_seed(5)
    keys = unrelated(6) | {"patient_keys": torch.tensor([9, 9, 8, 8, 8, 7]), "category_keys": torch.arange(6) % 2}
    keys["span_keys"][0, 1] = keys["span_keys"][1, 3]
    policies = {"same_document": "positive", "same_patient": "ignore", "same_category": "ignore"}
    vectors, chosen = torch.randn(12, 5, dtype=torch.float64, requires_grad=True), torch.tensor(rows)
    relations, some = pair_relations(**keys, **policies), pair_relations(**keys, **policies, rows=chosen)
    assert torch.equal(some.positive, relations.positive[chosen])
    assert torch.equal(some.excluded, relations.excluded[chosen])
    losses, hits = nt_xent(vectors, relations, 0.1, decoupled=decoupled)
    own, own_hits = nt_xent(vectors, some, 0.1, decoupled=decoupled, rows=chosen)
    torch.testing.assert_close(own, losses[chosen])
    assert torch.equal(own_hits, hits[chosen])
    gradients = [torch.autograd.grad(one.sum(), vectors, retain_graph=True)[0] for one in (own, losses[chosen])]
    torch.testing.assert_close(*gradients)


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="unknown policy"):
        pair_relations(**unrelated(2), same_document="negative")
