"""The category sampler: shares drawn, documents repeated fairly, batches of one category; what its indices give."""

import math

import numpy as np
import pytest
from datasets import Dataset

from collators import CategorySampler, EpochDataset, document_generator
from collators.category_sampler import tempered_counts
from collators.randomness import feature_generator

COUNTS = [600, 90, 9, 1]  # documents of each category
NUMBERS = [7, -100, 3, 11]  # -100: without a category
CATEGORIES = np.random.default_rng(0).permutation(np.repeat(NUMBERS, COUNTS))


def sampler(categories=CATEGORIES, seed=5, epoch=0, **options):
    dataset = EpochDataset([{}] * len(categories))
    dataset.set_epoch(epoch)
    return CategorySampler(categories, dataset, seed, **options)


def places(order, count=700):
    """The documents that the indices of an epoch stand for."""
    return np.asarray(order) % count


def drawn(order):
    return [int((CATEGORIES[places(order)] == number).sum()) for number in NUMBERS]


@pytest.mark.parametrize(
    ("counts", "total", "temperature", "expected"),
    [
        ([600, 90, 9, 1], 700, 1.0, [600, 90, 9, 1]),
        ([600, 90, 9, 1], 700, math.inf, [175, 175, 175, 175]),
        ([5, 0, 1], 6, math.inf, [3, 0, 3]),
        ([1, 1, 1], 10, math.inf, [4, 3, 3]),
        ([16, 4, 1], 21, 2.0, [12, 6, 3]),  # 4 : 2 : 1
        ([16, 4, 1], 22, 2.0, [13, 6, 3]),  # 12.57, 6.29, 3.14: the remainder goes to the largest fraction
        ([81, 16, 1], 98, 4.0, [49, 33, 16]),  # 3 : 2 : 1
        ([9], 9, 3.0, [9]),
        ([0, 9], 0, 2.0, [0, 0]),
    ],
)
def test_tempered_counts_literally(counts, total, temperature, expected):
    assert tempered_counts(np.array(counts), total, temperature).tolist() == expected


def test_tempered_counts_sum_up_and_flatten_with_the_temperature():
    random = np.random.default_rng(1)
    for _ in range(50):
        counts = random.integers(0, 2_000, random.integers(2, 30)) + 1
        counts[random.integers(len(counts))] = 0
        previous = math.inf
        for temperature in (1.0, 1.5, 2.0, 5.0, 1e6, math.inf):
            draws = tempered_counts(counts, int(counts.sum()), temperature)
            assert draws.sum() == counts.sum() and (draws[counts == 0] == 0).all() and (draws >= 0).all()
            exact = np.where(counts > 0, counts ** (1 / temperature), 0.0)
            assert np.abs(draws - exact / exact.sum() * counts.sum()).max() < 1
            spread = draws.max() - draws[counts > 0].min()
            assert spread <= previous + 1
            previous = spread


def test_temperature_1_draws_every_document_once():
    order = list(sampler())
    assert sorted(order) == list(range(700)) and order != sorted(order)


@pytest.mark.parametrize("temperature", [2.0, math.inf])
def test_rare_categories_come_more_often(temperature):
    order = list(sampler(temperature=temperature))
    assert len(order) == len(sampler()) == 700
    roots = [0 if number == -100 else count ** (1 / temperature) for number, count in zip(NUMBERS, COUNTS, strict=True)]
    expected = [610 * root / sum(roots) for root in roots]
    expected[NUMBERS.index(-100)] = 90  # those without a category keep their number
    assert drawn(order) == pytest.approx(expected, abs=1)
    # Mixed over the epoch, not in blocks: each quarter has its share.
    for start in range(0, 700, 175):
        quarter = drawn(order[start : start + 175])
        assert quarter == pytest.approx([count / 4 for count in drawn(order)], abs=20)


def test_no_document_comes_again_before_all_of_its_category_have_come():
    order = list(sampler(temperature=3.0))
    times = np.bincount(places(order), minlength=700)
    for number in NUMBERS:
        own = times[number == CATEGORIES]
        assert own.max() - own.min() <= 1
    assert (times[CATEGORIES == -100] == 1).all()
    assert times[CATEGORIES == 11].item() > 20  # one document, many times
    assert times[CATEGORIES == 7].min() == 0  # most documents, some of which wait


@pytest.mark.parametrize("size", [None, 16])
@pytest.mark.parametrize("temperature", [1.0, 2.0, math.inf])
def test_every_draw_of_a_document_has_an_index_of_its_own(temperature, size):
    order = list(sampler(temperature=temperature, batch_size=size))
    assert len(set(order)) == len(order) == 700
    draws = {}
    for index in order:
        draws.setdefault(index % 700, []).append(index // 700)
    # Numbered from 0 without gaps, so that the first draw is the document itself.
    assert all(sorted(numbers) == list(range(len(numbers))) for numbers in draws.values())
    most = max(map(len, draws.values()))
    assert most == 1 if temperature == 1 else most > 15


@pytest.mark.parametrize("number", [90, 689])
def test_documents_without_a_category_keep_their_number(number):
    categories = np.repeat([-100, 0, 1], [number, 10, 1])
    for temperature in (1.0, 3.0, math.inf):
        order = list(sampler(categories, temperature=temperature))
        kinds = categories[places(order, len(categories))]
        assert sorted(index for index in order if index % len(categories) < number) == list(range(number))
        known = tempered_counts(np.array([10, 1]), 11, temperature).tolist()
        assert np.bincount(kinds[kinds >= 0]).tolist() == known
    # Any other number is a category as others are.
    other = list(sampler(np.where(categories == -100, -5, categories), temperature=math.inf))
    assert (places(other, len(categories)) < number).sum() == pytest.approx((number + 11) / 3, abs=1)


def test_without_any_category_every_document_is_drawn_once():
    order = list(sampler(np.full(50, -100), temperature=math.inf))
    assert sorted(order) == list(range(50)) and order != sorted(order)


def test_documents_of_a_frequent_category_all_have_their_turn():
    seen = set()
    for epoch in range(40):
        seen |= set(places(list(sampler(epoch=epoch, temperature=math.inf))).tolist())
    assert len(seen) == 700


def test_the_order_depends_on_seed_and_epoch_alone():
    np.random.seed(0)
    first = list(sampler(temperature=2.0, epoch=3))
    np.random.seed(1)
    assert list(sampler(temperature=2.0, epoch=3)) == first
    assert list(sampler(temperature=2.0, epoch=4)) != first
    assert list(sampler(temperature=2.0, epoch=3, seed=6)) != first
    # The running epoch counts, not the one at construction.
    dataset = EpochDataset([{}] * 700)
    one = CategorySampler(CATEGORIES, dataset, 5, 2.0)
    dataset.set_epoch(3)
    assert list(one) == first and list(one) == first


def test_names_of_the_categories_do_not_matter():
    renamed = np.select([number == CATEGORIES for number in NUMBERS], [40, -100, 20, 50])  # the order stays
    assert list(sampler(renamed.tolist(), temperature=2.0)) == list(sampler(temperature=2.0))


@pytest.mark.parametrize("size", [4, 16, 50])
def test_batches_of_one_category(size):
    order = np.array(list(sampler(batch_size=size)))
    assert sorted(order.tolist()) == list(range(700))
    full = sum(count // size for count in COUNTS)
    kinds = CATEGORIES[order[: full * size]].reshape(full, size)
    assert (kinds == kinds[:, :1]).all()
    assert {number: int((kinds[:, 0] == number).sum()) for number in NUMBERS} == {
        number: count // size for number, count in zip(NUMBERS, COUNTS, strict=True)
    }
    # What no full batch holds comes last, mixed.
    rest = CATEGORIES[order[full * size :]]
    assert sorted(rest.tolist()) == sorted(
        number for number, count in zip(NUMBERS, COUNTS, strict=True) for _ in range(count % size)
    )


def test_batches_of_different_categories_alternate():
    categories = np.repeat([0, 1], 80)
    kinds = categories[list(sampler(categories, batch_size=8))].reshape(20, 8)[:, 0]
    assert 4 < (np.diff(kinds) != 0).sum() < 16


def test_what_is_left_is_mixed():
    categories = np.repeat(np.arange(10), 15)
    rest = [tuple(categories[list(sampler(categories, epoch=epoch, batch_size=8))[80:]]) for epoch in range(3)]
    assert all(len(one) == 70 and list(one) != sorted(one) for one in rest) and len(set(rest)) == 3


def test_batches_of_one_category_with_a_temperature():
    order = list(sampler(temperature=math.inf, batch_size=25))
    assert len(order) == 700 and drawn(order) == [203, 90, 204, 203]
    kinds = CATEGORIES[places(order)].reshape(28, 25)
    assert (kinds[:27] == kinds[:27, :1]).all()
    assert [int((kinds[:27, 0] == number).sum()) for number in NUMBERS] == [8, 3, 8, 8]
    assert [int((kinds[27] == number).sum()) for number in NUMBERS] == [3, 15, 4, 3]  # what is left, mixed


def test_a_batch_larger_than_every_category_is_mixed():
    categories = np.repeat([0, 1, 2], 5)
    order = list(sampler(categories, batch_size=8))
    assert sorted(order) == list(range(15)) and len(set(categories[order[:8]])) > 1


# ---- what an index gives ----


@pytest.mark.parametrize("table", [False, True], ids=["list", "dataset"])
def test_an_index_is_a_document_and_a_draw(table):
    rows = [{"name": name} for name in "abcd"]
    dataset = EpochDataset(Dataset.from_list(rows) if table else rows)
    dataset.set_epoch(2)
    indices = [1, 5, 4, 3, 13, 0, 402]
    expected = [("b", 0), ("b", 1), ("a", 1), ("d", 0), ("b", 3), ("a", 0), ("c", 100)]
    items = [{"name": name, "epoch": 2, "draw": draw} for name, draw in expected]
    assert dataset.__getitems__(indices) == items and [dataset[index] for index in indices] == items
    assert dataset.__getitems__(indices[::-1]) == items[::-1]
    assert len(dataset) == 4


@pytest.mark.parametrize("table", [False, True], ids=["list", "dataset"])
def test_a_walk_over_the_documents_ends_after_the_last(table):
    rows = [{"name": name} for name in "abcd"]
    walk = iter(EpochDataset(Dataset.from_list(rows) if table else rows))
    assert [(item["name"], item["draw"]) for _, item in zip(range(9), walk, strict=False)] == [
        (name, 0) for name in "abcd"
    ]


def test_each_draw_has_its_own_random_numbers():
    feature = {"document_id": "d1", "epoch": 3}

    def numbers(feature, seed=5):
        return tuple(feature_generator(seed, feature).random(4))

    plain = tuple(document_generator(5, 3, "d1").random(4))
    assert numbers(feature) == numbers({**feature, "draw": 0}) == plain
    variants = [{**feature, "draw": draw} for draw in range(12)]
    variants += [{**feature, "draw": 1, **change} for change in ({"epoch": 4}, {"document_id": "d2"})]
    assert len({numbers(one) for one in variants} | {numbers(variants[1], seed=6)}) == 15
    assert numbers(variants[7]) == numbers(variants[7])
