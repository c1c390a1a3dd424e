"""The losses that read metadata against plain loops in float64, and what they do where a category is missing."""

import math

import pytest
import torch

from trainers.category_loss import category_cross_entropy, category_weights, has_category, supervised_contrastive
from trainers.contrastive_loss import PairRelations, nt_xent, pair_relations

DTYPES = [(torch.float32, 1e-5), (torch.bfloat16, 1e-5)]  # bf16: of the rounded values, but in fp32


def dot(one, other):
    return sum(x * y for x, y in zip(one, other, strict=True))


def cross_entropy_by_loops(logits, targets, weights):
    total = 0.0
    for row, target in zip(logits.double().tolist(), targets.tolist(), strict=True):
        if target != -100:
            total -= weights[target] * math.log(math.exp(row[target]) / sum(map(math.exp, row)))
    return total


def binary_by_loops(logits, targets, weights):
    """A weight counts where a category holds, relative to the smallest weight, which the commonest category has."""
    total = 0.0
    for row, target in zip(logits.double().tolist(), targets.double().tolist(), strict=True):
        if not any(map(math.isnan, target)):
            terms = []
            for logit, holds, weight in zip(row, target, weights, strict=True):
                probability = 1 / (1 + math.exp(-logit))
                relative = weight / min(weights)
                terms.append(-relative * math.log(probability) if holds else -math.log(1 - probability))
            total += sum(terms) / len(terms)
    return total


def supcon_by_loops(vectors, targets, temperature, documents=None):
    documents = list(range(len(targets))) if documents is None else documents
    rows = [[value / math.hypot(*row) for value in row] for row in vectors.double().tolist()]
    known = [place for place, target in enumerate(targets.tolist()) if target != -100]
    total, count = 0.0, 0
    for i in known:
        others = [a for a in known if a != i and documents[a] != documents[i]]
        positives = [p for p in others if targets[p] == targets[i]]
        if not positives:
            continue
        scores = {a: math.exp(dot(rows[i], rows[a]) / temperature) for a in others}
        total -= sum(math.log(scores[p] / sum(scores.values())) for p in positives) / len(positives)
        count += 1
    return total, count


def test_known_categories():
    assert has_category(torch.tensor([0, -100, 3])).tolist() == [True, False, True]
    vectors = torch.tensor([[0.0, 0.0], [1.0, math.nan], [math.nan, math.nan], [1.0, 0.0]])
    assert has_category(vectors).tolist() == [True, False, False, True]


# ---- weights ----


def test_weights_literally():
    assert category_weights([7, 1, 90], "none").tolist() == [1.0, 1.0, 1.0]
    # 1, 1/3, 1/4 times 8/3, so that 1 x 8/3 + 3 x 8/9 + 4 x 2/3 = 8.
    assert category_weights([1, 3, 4], "inverse").tolist() == pytest.approx([8 / 3, 8 / 9, 2 / 3])
    # Effective numbers with beta 1/2: 1 and 3/2; their inverses 1 and 2/3 times 9/7.
    assert category_weights([1, 2], "effective", 0.5).tolist() == pytest.approx([9 / 7, 6 / 7])


@pytest.mark.parametrize("scheme", ["none", "inverse", "effective"])
@pytest.mark.parametrize("counts", [[5, 5], [119_875, 17, 1, 2_000], [1, 2, 3, 4, 5, 6]])
def test_weights_have_a_mean_of_1_over_the_documents_and_favour_the_rare(scheme, counts):
    weights = category_weights(counts, scheme)
    assert weights.dtype == torch.float32
    total = sum(count * weight for count, weight in zip(counts, weights.tolist(), strict=True))
    assert total / sum(counts) == pytest.approx(1, rel=1e-5)
    ranked = [weight for _, weight in sorted(zip(counts, weights.tolist(), strict=True))]
    assert ranked == sorted(ranked, reverse=True)
    assert scheme == "none" or len(set(counts)) == 1 or ranked[0] > ranked[-1]


def test_beta_leads_from_no_weights_to_inverse_frequencies():
    counts = [40, 3, 900]
    assert category_weights(counts, "effective", 0.0).tolist() == pytest.approx([1, 1, 1])
    inverse = category_weights(counts, "inverse")
    torch.testing.assert_close(category_weights(counts, "effective", 1 - 1e-9), inverse, rtol=1e-5, atol=0)
    between = category_weights(counts, "effective", 0.99)
    assert 1 < between[1] / between[2] < inverse[1] / inverse[2] == pytest.approx(300)


def test_an_unknown_weighting_is_refused():
    with pytest.raises(ValueError, match="unknown weighting 'sampling'"):
        category_weights([1, 2], "sampling")


# ---- cross-entropy ----


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0, 1.0], [0.2, 3.0, 1.0, 0.01]])
def test_cross_entropy_equals_plain_loops(dtype, tolerance, weights):
    torch.manual_seed(0)
    logits, targets = (3 * torch.randn(9, 4)).to(dtype), torch.tensor([0, 1, -100, 2, 3, 3, -100, 1, 0])
    loss = category_cross_entropy(logits, targets, torch.tensor(weights))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(cross_entropy_by_loops(logits, targets, weights), rel=tolerance)


def test_cross_entropy_literally():
    loss = category_cross_entropy(torch.tensor([[0.0, math.log(3)]]), torch.tensor([1]), torch.tensor([9.0, 2.0]))
    assert loss.item() == pytest.approx(2 * math.log(4 / 3))


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.2, 3.0, 0.5]])
def test_multi_label_loss_equals_plain_loops(dtype, tolerance, weights):
    torch.manual_seed(1)
    logits = (3 * torch.randn(6, 3)).to(dtype)
    targets = torch.tensor([[0, 1, 1], [1, 0, 0], [math.nan] * 3, [0, 0, 0], [1, 1, 1], [math.nan] * 3])
    loss = category_cross_entropy(logits, targets, torch.tensor(weights))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(binary_by_loops(logits, targets, weights), rel=tolerance)


def test_multi_label_loss_literally():
    # Probabilities 3/4 and 1/4; the weights are 1 and 6 relative to the smaller one.
    logits, weights = torch.tensor([[math.log(3), -math.log(3)]]), torch.tensor([0.5, 3.0])
    for targets, expected in [
        ([1.0, 0.0], math.log(4 / 3) + math.log(4 / 3)),
        ([1.0, 1.0], math.log(4 / 3) + 6 * math.log(4)),
        ([0.0, 1.0], math.log(4) + 6 * math.log(4)),
        ([0.0, 0.0], math.log(4) + math.log(4 / 3)),
    ]:
        loss = category_cross_entropy(logits, torch.tensor([targets]), weights)
        assert loss.item() == pytest.approx(expected / 2), targets


def test_multi_label_weights_count_where_a_category_holds_and_relative_to_the_commonest():
    torch.manual_seed(11)
    logits, targets = torch.randn(8, 3), (torch.rand(8, 3) < 0.5).float()
    weights = category_weights([50, 5, 1], "inverse")
    loss = category_cross_entropy(logits, targets, weights)
    torch.testing.assert_close(category_cross_entropy(logits, targets, 7 * weights), loss)
    # What is absent, and the commonest category, weigh as without weights.
    absent = torch.zeros(8, 3)
    assert torch.equal(
        category_cross_entropy(logits, absent, weights), category_cross_entropy(logits, absent, torch.ones(3))
    )
    commonest = targets * torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(
        category_cross_entropy(logits, commonest, weights), category_cross_entropy(logits, commonest, torch.ones(3))
    )
    assert loss > 2 * category_cross_entropy(logits, targets, torch.ones(3))
    # One category alone is its own commonest.
    single = category_weights([3], "inverse")
    one = category_cross_entropy(logits[:, :1], targets[:, :1], 9 * single)
    torch.testing.assert_close(one, category_cross_entropy(logits[:, :1], targets[:, :1], torch.ones(1)))


@pytest.mark.parametrize("targets", [torch.tensor([1, -100, 0]), torch.tensor([[0, 1.0], [math.nan] * 2, [0, 0]])])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_documents_without_a_category_get_no_gradient(targets, dtype):
    logits = torch.randn(3, 2).to(dtype).requires_grad_()
    category_cross_entropy(logits, targets, torch.ones(2)).backward()
    assert torch.equal(logits.grad[1], torch.zeros(2, dtype=dtype))
    assert (logits.grad[[0, 2]] != 0).all() and logits.grad.isfinite().all()


@pytest.mark.parametrize("targets", [torch.tensor([-100, -100]), torch.full((2, 3), math.nan)])
def test_a_batch_without_categories_has_a_loss_of_zero_that_reaches_the_head(targets):
    head = torch.nn.Linear(4, 3)
    loss = category_cross_entropy(head(torch.randn(2, 4)), targets, torch.ones(3))
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(head.weight.grad, torch.zeros(3, 4)) and torch.equal(head.bias.grad, torch.zeros(3))


@pytest.mark.parametrize("targets", [torch.tensor([2, 0, -100]), torch.tensor([[0, 1.0, 1], [1, 0, 0], [0, 0, 0]])])
def test_autocast_does_not_reach_the_cross_entropy(targets):
    torch.manual_seed(2)
    logits, weights = torch.randn(3, 3), torch.tensor([0.3, 1.0, 2.0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = category_cross_entropy(logits, targets, weights)
    assert torch.equal(mixed, category_cross_entropy(logits, targets, weights))


# ---- supervised contrastive ----


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), *DTYPES])
@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_supcon_equals_plain_loops(dtype, tolerance, temperature):
    torch.manual_seed(3)
    vectors = (5 * torch.randn(10, 6)).to(dtype)
    # Category 2 stands alone; two documents have none.
    targets = torch.tensor([0, 1, 1, -100, 2, 0, 0, 3, -100, 3])
    loss, count = supervised_contrastive(vectors, targets, temperature)
    expected, documents = supcon_by_loops(vectors, targets, temperature)
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert loss.item() == pytest.approx(expected, rel=tolerance) and count.item() == documents == 7


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), *DTYPES])
def test_supcon_with_rows_of_one_document_equals_plain_loops(dtype, tolerance):
    torch.manual_seed(12)
    vectors = (5 * torch.randn(12, 6)).to(dtype)
    targets = torch.tensor([0, 1, 1, -100, 2, 0, 0, 3, -100, 3, 1, 2])
    # Document 40 has all rows of category 3, which are left without a positive; documents 10 and 20 have two rows of a
    # category that another document has too; documents 50 and 51 one each; document 30 is without a category.
    documents = torch.tensor([10, 20, 20, 30, 50, 10, 11, 40, 30, 40, 21, 51])
    loss, count = supervised_contrastive(vectors, targets, 0.1, documents)
    expected, rows = supcon_by_loops(vectors, targets, 0.1, documents.tolist())
    assert loss.item() == pytest.approx(expected, rel=tolerance) and count.item() == rows == 8
    without, all_rows = supervised_contrastive(vectors, targets, 0.1)
    assert all_rows == 10 and abs(without.item() - expected) > 0.1
    apart, _ = supervised_contrastive(vectors, targets, 0.1, torch.arange(12) + 7)
    assert torch.equal(apart, without)


def test_rows_of_one_document_are_neither_positives_nor_negatives_of_each_other():
    torch.manual_seed(13)
    vectors = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    targets, documents = torch.tensor([0, 0, 0, 1]), torch.tensor([1, 1, 2, 3])
    loss, count = supervised_contrastive(vectors, targets, 0.2, documents)
    assert count == 3
    # Rows 0 and 1 are not in each other's sums; row 2 has both as positives.
    unit = torch.nn.functional.normalize(vectors, dim=1)
    scores = unit @ unit.T / 0.2
    parts = [torch.logsumexp(scores[row, [2, 3]], 0) - scores[row, 2] for row in (0, 1)]
    parts.append(torch.logsumexp(scores[2, [0, 1, 3]], 0) - scores[2, [0, 1]].mean())
    torch.testing.assert_close(loss, sum(parts))
    assert torch.autograd.gradcheck(lambda v: supervised_contrastive(v, targets, 0.2, documents)[0], (vectors,))


def test_a_batch_of_one_document_has_a_finite_loss_of_zero():
    projection = torch.nn.Linear(4, 4)
    vectors = projection(torch.randn(3, 4))
    loss, count = supervised_contrastive(vectors, torch.tensor([0, 0, 1]), 0.05, torch.tensor([8, 8, 8]))
    assert loss.item() == 0 and count.item() == 0
    loss.backward()
    assert torch.equal(projection.weight.grad, torch.zeros(4, 4))


def test_supcon_literally():
    east, north = [1.0, 0.0], [0.0, 1.0]
    loss, count = supervised_contrastive(torch.tensor([east, east, north]), torch.tensor([4, 4, 1]), 1.0)
    # Twice log((e + 1) / e); the third is alone, and only a negative of the others.
    assert loss.item() == pytest.approx(2 * math.log(1 + math.exp(-1))) and count == 2


def test_a_document_alone_of_its_category_is_a_negative_without_a_loss():
    torch.manual_seed(4)
    vectors = torch.randn(3, 4, requires_grad=True)
    loss, count = supervised_contrastive(vectors, torch.tensor([0, 0, 1]), 0.1)
    assert count == 2
    without, _ = supervised_contrastive(vectors[:2], torch.tensor([0, 0]), 0.1)
    assert without.item() == pytest.approx(0, abs=1e-6) and loss.item() > 1e-3  # a pair alone has nothing to learn
    loss.backward()
    assert vectors.grad.isfinite().all() and vectors.grad[2].abs().max() > 1e-4


def test_documents_without_a_category_take_no_part_in_supcon():
    torch.manual_seed(5)
    vectors, targets = torch.randn(6, 4), torch.tensor([0, -100, 0, 1, -100, 1])
    changed = vectors.clone()
    changed[[1, 4]] = 100 * torch.randn(2, 4)
    leaf = vectors.clone().requires_grad_()
    loss, _ = supervised_contrastive(leaf, targets, 0.1)
    assert torch.equal(loss, supervised_contrastive(changed, targets, 0.1)[0])
    loss.backward()
    assert (leaf.grad[[1, 4]] == 0).all() and (leaf.grad[[0, 2, 3, 5]] != 0).all()


@pytest.mark.parametrize("targets", [[0], [-100], [-100, -100, -100], [0, 1, 2], [0, -100, 1]], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_batch_without_pairs_has_a_finite_loss_of_zero(targets, dtype):
    projection = torch.nn.Linear(4, 4)
    vectors = projection(torch.randn(len(targets), 4)).to(dtype)
    loss, count = supervised_contrastive(vectors, torch.tensor(targets), 0.05)
    assert loss.item() == 0 and count.item() == 0 and loss.dtype == torch.float32
    loss.backward()
    assert torch.equal(projection.weight.grad, torch.zeros(4, 4))


def test_the_gradient_of_supcon_is_right():
    torch.manual_seed(6)
    vectors = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 1, 0, -100, 1, 2, 1])
    assert torch.autograd.gradcheck(lambda v: supervised_contrastive(v, targets, 0.3)[0], (vectors,))


def test_supcon_equals_pytorch_metric_learning():
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    torch.manual_seed(7)
    vectors, targets = torch.randn(12, 5, dtype=torch.float64), torch.tensor([0, 0, 1, 1, 1, 2, 3, 3, 0, 1, 3, 4])
    loss, count = supervised_contrastive(vectors, targets, 0.1)
    theirs = losses.SupConLoss(temperature=0.1)(vectors, targets)
    torch.testing.assert_close(loss / count, theirs, rtol=1e-7, atol=1e-9)


def test_supcon_does_not_depend_on_the_lengths_of_vectors_nor_on_autocast():
    torch.manual_seed(8)
    vectors, targets = torch.randn(6, 5), torch.tensor([0, 0, 1, 1, 2, 0])
    loss, _ = supervised_contrastive(vectors, targets, 0.1)
    scaled, _ = supervised_contrastive(vectors * torch.rand(6, 1).add(0.1), targets, 0.1)
    torch.testing.assert_close(loss, scaled, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(supervised_contrastive(vectors, targets, 0.1)[0], loss)


# ---- categories inside the contrastive loss of DeCLUTR ----

DOCUMENTS = [0, 0, 1, 2, 3, 4, 5]
PATIENTS = [9, 9, 9, 8, 7, 6, 5]
CONTENTS = [10, 10, 11, 12, 13, 13, 14]  # documents 3 and 4 have the same text
CATEGORIES = [1, 1, 1, 1, 1, 1, 2]


def keys():
    count = len(DOCUMENTS)
    return {
        "document_keys": torch.tensor(DOCUMENTS),
        "patient_keys": torch.tensor(PATIENTS),
        "content_keys": torch.tensor(CONTENTS),
        "span_keys": torch.arange(2 * count).view(2, count),
        "category_keys": torch.tensor(CATEGORIES),
    }


@pytest.mark.parametrize("same_category", ["negative", "ignore", "positive"])
@pytest.mark.parametrize("same_document", ["hard_negative", "ignore", "positive"])
@pytest.mark.parametrize("same_patient", ["hard_negative", "ignore", "positive"])
def test_policies_for_categories_equal_plain_loops(same_category, same_document, same_patient):
    relations = pair_relations(
        **keys(), same_document=same_document, same_patient=same_patient, same_category=same_category
    )
    meaning = {"negative": "negative", "hard_negative": "negative", "ignore": "excluded", "positive": "positive"}
    count = len(DOCUMENTS)
    kinds = {}
    for i in range(2 * count):
        for k in range(2 * count):
            a, b = i % count, k % count
            if i == k:
                kind = "excluded"
            elif a == b:
                kind = "positive"
            elif DOCUMENTS[a] == DOCUMENTS[b]:
                kind = meaning[same_document]
            elif CONTENTS[a] == CONTENTS[b]:
                kind = "excluded"
            elif PATIENTS[a] == PATIENTS[b]:
                kind = meaning[same_patient]
            elif CATEGORIES[a] == CATEGORIES[b]:
                kind = meaning[same_category]
            else:
                kind = "negative"
            assert bool(relations.positive[i, k]) == (kind == "positive"), (i, k)
            assert bool(relations.excluded[i, k]) == (kind == "excluded"), (i, k)
            kinds[i, k] = kind
    # The loss, from the relations of the loop.
    torch.manual_seed(9)
    vectors = torch.randn(2 * count, 5, dtype=torch.float64)
    unit = [[value / math.hypot(*row) for value in row] for row in vectors.tolist()]
    losses, _ = nt_xent(vectors, relations, 0.2)
    for i in range(2 * count):
        scores = {k: math.exp(dot(unit[i], unit[k]) / 0.2) for k in range(2 * count)}
        total = sum(score for k, score in scores.items() if kinds[i, k] != "excluded")
        terms = [-math.log(score / total) for k, score in scores.items() if kinds[i, k] == "positive"]
        assert losses[i].item() == pytest.approx(sum(terms) / len(terms), rel=1e-9)


def test_without_categories_nothing_changes():
    plain = {name: value for name, value in keys().items() if name != "category_keys"}
    expected = pair_relations(**plain)
    for relations in (pair_relations(**keys()), pair_relations(**plain, same_category="positive")):
        assert torch.equal(relations.positive, expected.positive)
        assert torch.equal(relations.excluded, expected.excluded)
    assert not torch.equal(pair_relations(**keys(), same_category="positive").positive, expected.positive)


@pytest.mark.parametrize("policy", ["hard_negative", "Positive", ""])
def test_an_unknown_policy_for_categories_is_refused(policy):
    with pytest.raises(ValueError, match=f"unknown policy '{policy}', choose from negative, ignore, positive"):
        pair_relations(**keys(), same_category=policy)


@pytest.mark.parametrize("alone", [False, True], ids=["beside negatives", "with everything left out"])
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_a_vector_without_a_positive_has_no_loss_and_a_finite_gradient(alone):
    torch.manual_seed(10)
    vectors = torch.randn(4, 3, requires_grad=True)
    positive, excluded = torch.zeros(4, 4, dtype=torch.bool), torch.eye(4, dtype=torch.bool)
    positive[0, 1] = positive[1, 0] = True
    excluded[3] |= alone
    with torch.autograd.set_detect_anomaly(True):  # nor is any gradient on the way not a number
        losses, hits = nt_xent(vectors, PairRelations(positive, excluded), 0.05)
        gradient = torch.autograd.grad(losses[2:].sum(), vectors, retain_graph=True)[0]
        losses.sum().backward()
    assert losses[2:].tolist() == [0, 0] and (losses[:2] > 0).all() and not hits[2:].any()
    assert torch.equal(gradient, torch.zeros(4, 3))
    assert vectors.grad.isfinite().all() and vectors.grad[2].abs().max() > 0
