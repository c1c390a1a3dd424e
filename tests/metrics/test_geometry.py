"""All of geometry at once equals its parts, from vectors in memory or on disk."""

import math
import tracemalloc

import numpy as np
import pytest

from metrics import blocks
from metrics.alignment import alignment, category_alignment, uniformity
from metrics.cosine_similarity import cosine_by_category, mean_cosine
from metrics.geometry import geometry, pair_statistics
from metrics.intrinsic_dimension import hubness, two_nn
from metrics.isotropy import covariance_measures
from metrics.measures import MEASURES
from metrics.neighbours import nearest_neighbours

NAMES = {name for name, measure in MEASURES.items() if measure.group == "geometry"}
OF_CATEGORIES = {name for name in NAMES if name.startswith(("category_", "cosine_"))}


def sample(documents=90, hidden=6):
    rng = np.random.default_rng(0)
    categories = rng.integers(-1, 3, documents)
    embeddings = rng.normal(size=(documents, hidden)) + np.eye(4, hidden)[categories]
    embeddings[[4, 50]] = 0
    return embeddings.astype(np.float32), categories


def close(found, expected):
    assert found.value == pytest.approx(expected.value, abs=2e-6)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=2e-6)


@pytest.mark.parametrize("tile", [17, 2_048])
def test_one_pass_equals_the_functions_one_by_one(tile, monkeypatch):
    monkeypatch.setattr(blocks, "TILE_ROWS", tile)
    embeddings, categories = sample()
    other = embeddings + 0.2
    found = geometry(embeddings, categories, pairs=(embeddings, other), k=5)
    assert set(found) == NAMES
    cosines = cosine_by_category(embeddings, categories)
    expected = {
        "alignment": alignment(embeddings, other),
        "category_alignment": category_alignment(embeddings, categories),
        "uniformity": uniformity(embeddings),
        "mean_cosine": mean_cosine(embeddings),
        "mean_cosine_centred": mean_cosine(embeddings, centred=True),
        "cosine_within": cosines.within_mean,
        "cosine_between": cosines.between_mean,
        "cosine_effect_size": cosines.effect_size,
        "cosine_superiority": cosines.superiority,
        "intrinsic_dimension": two_nn(embeddings, "cosine"),
        "hubness": hubness(embeddings, 5),
        **covariance_measures(embeddings),
    }
    assert set(expected) == NAMES
    for name, measure in expected.items():
        close(found[name], measure)
    statistics = pair_statistics(embeddings, categories, k=5)
    assert statistics.cosines.within.tolist() == cosines.within.tolist()
    assert statistics.cosines.between.tolist() == cosines.between.tolist()
    assert (statistics.neighbours.indices == nearest_neighbours(embeddings, 5).indices).all()
    assert geometry(embeddings, categories, pairs=(embeddings, other), k=5, statistics=statistics) == found


def test_without_categories_and_pairs():
    embeddings, _ = sample()
    assert set(geometry(embeddings)) == NAMES - OF_CATEGORIES - {"alignment"}
    # The intrinsic dimension needs two neighbours, however many hubness counts.
    close(geometry(embeddings, k=1)["intrinsic_dimension"], two_nn(embeddings, "cosine"))
    close(geometry(embeddings, k=1)["hubness"], hubness(embeddings, 1))


def test_a_memory_map_of_half_precision(tmp_path):
    embeddings, categories = sample()
    np.save(tmp_path / "embeddings.npy", embeddings.astype(np.float16))
    stored = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    found = geometry(stored, categories)
    for name, measure in geometry(embeddings.astype(np.float16).astype(np.float64), categories).items():
        close(found[name], measure)


@pytest.mark.parametrize(
    "embeddings",
    [np.full((25, 4), 0.3, dtype=np.float32), np.zeros((25, 4)), np.ones((0, 4)), np.ones((1, 4)), np.eye(2, 4)],
    ids=["equal", "zero", "none", "one", "two"],
)
@pytest.mark.parametrize("kind", ["one category", "each its own", "no category"])
def test_degenerate_input_gives_every_measure(embeddings, kind):
    documents = len(embeddings)
    categories = {
        "one category": np.zeros(documents, dtype=np.int64),
        "each its own": np.arange(documents),
        "no category": np.full(documents, -1),
    }[kind]
    found = geometry(embeddings, categories, pairs=(embeddings, embeddings))
    assert set(found) == NAMES
    undefined = {name for name, measure in found.items() if math.isnan(measure.value)}
    assert {"cosine_effect_size", "cosine_superiority", "intrinsic_dimension"} <= undefined
    for name in undefined:
        assert found[name].low is None and found[name].as_dict()["value"] is None
    if documents > 2 and embeddings.any():
        assert found["uniformity"].value == pytest.approx(0, abs=1e-5)
        assert found["mean_cosine"].value == pytest.approx(1)


def test_faults_are_refused():
    embeddings, categories = sample()
    with pytest.raises(ValueError, match="categories of shape"):
        geometry(embeddings, categories[1:])
    with pytest.raises(ValueError, match="k is 0"):
        geometry(embeddings, k=0)
    embeddings[8, 2] = np.nan
    with pytest.raises(ValueError, match="row 8 "):
        geometry(embeddings, categories)


def test_memory_is_that_of_tiles_and_blocks(monkeypatch):
    rng = np.random.default_rng(1)
    embeddings, categories = rng.normal(size=(3_000, 8)).astype(np.float32), rng.integers(0, 10, 3_000)
    monkeypatch.setattr(blocks, "TILE_ROWS", 128)
    monkeypatch.setattr("metrics.cosine_similarity._REFERENCE_DOCUMENTS", 128)
    for budget in ("blocks._BLOCK_NUMBERS", "neighbours._GATHERED_NUMBERS", "document_intervals._COUNTED"):
        monkeypatch.setattr(f"metrics.{budget}", 2**16)
    geometry(embeddings[:50], categories[:50])
    tracemalloc.start()
    pair_statistics(embeddings, categories)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All cosines would take 36 MB, and draws of all documents for all resamples 24 MB.
    assert peak < 18e6
