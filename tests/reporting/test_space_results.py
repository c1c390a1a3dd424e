"""Reading the folder of an analysis of embeddings: what comes out, and that every fault is told."""

import math

import numpy as np
import pytest

from corpora.errors import InputError
from reporting.category_looks import DISTINCT, by_frequency, category_looks, heat_map_order, shown_documents
from reporting.space_results import load_space_results

NAMES = ("Cardiology", "Neurology", "Urology")


def test_a_folder_comes_out_as_it_was_written(write_space):
    results = load_space_results(write_space(documents=90, categories=NAMES))
    assert [model.name for model in results.models] == ["base", "mlm", "declutr"]
    assert results.reference == "base" and results.reference_model is results.models[0]
    assert results.categories == NAMES and results.category_counts.sum() + results.without_category == 90
    counted = np.bincount(results.document_categories[results.document_categories >= 0])
    assert counted.tolist() == results.category_counts.tolist()
    assert results.document_ids[7] == "note-00007" and results.splits[:2].tolist() == ["validation", "train"]
    model = results.models[2]
    assert model.cosines.edges.shape == (101,) and model.cosines.within.dtype == np.int64
    known = 90 - results.without_category
    assert model.cosines.within.sum() + model.cosines.between.sum() == known * (known - 1) // 2
    assert model.category_cosine.shape == (3, 3) and model.category_cosine[0, 0] > model.category_cosine[0, 1]
    assert set(model.sweeps) == {"threshold", "knn", "mutual_knn", "density"}
    assert np.isnan(model.sweeps["threshold"].measures["graph_clustering"]).any()
    assert model.drawing.edges.shape[1] == 2 and model.drawing.edges.max() < len(model.drawing.documents)
    assert model.maps["pca"].shape == (90, 2) and results.cka[0, 2] == pytest.approx(0.518)
    assert model.measures["davies_bouldin"].low is None and model.measures["silhouette"].high > 0


def test_undefined_and_missing_parts_are_none_or_nan(write_space):
    def change(content):
        content["models"][0]["measures"]["uniformity"] = {"value": None, "low": None, "high": None}
        content["models"][0]["percolation"] = {"threshold": None, "curve": {"thresholds": [], "giant_share": []}}
        content["models"][1].update(cosines=None, sweeps=None, percolation=None, drawing=None)
        content["models"][1]["category_cosine"][0][0] = None
        content.update(reference=None, corpus_digest=None)

    results = load_space_results(write_space(documents=40, categories=NAMES, change=change))
    first, second = results.models[:2]
    assert math.isnan(first.measures["uniformity"].value) and first.measures["uniformity"].low is None
    assert math.isnan(first.percolation.threshold) and first.percolation.thresholds.shape == (0,)
    assert second.cosines is second.percolation is second.drawing is None and not second.sweeps
    assert math.isnan(second.category_cosine[0, 0])
    assert results.reference_model is None


def test_a_folder_without_categories(write_space):
    results = load_space_results(write_space(documents=30, categories=(), models={"only": (0.4, 1.0)}))
    assert results.categories == () and results.label_column is None and results.cka is None
    assert set(results.document_categories) == {-1} and results.models[0].cosines is None


def set_in(content, path, value):
    for key in path[:-1]:
        content = content[key]
    if value is KeyError:
        del content[path[-1]]
    else:
        content[path[-1]] = value


@pytest.mark.parametrize(
    "path, value, words",
    [
        (["kind"], "classification", "is not of an analysis of embeddings"),
        (["schema_version"], 2, "has schema version 2, not 1"),
        (["documents"], 0, "'documents' is below 1"),
        (["without_category"], 3, "has categories of"),
        (["categories"], ["a", "a", "b"], "'categories' is not a list of different names"),
        (["category_counts"], [1, 2], "'category_counts' is not of size 3"),
        (["reference"], "none", "'reference' names none of the models"),
        (["models"], [], "'models' is empty"),
        (["settings"], KeyError, "'settings' is missing"),
        (["cka"], [[1.0, 0.5], [0.5, 1.0]], "'cka' is not of size 3 by 3"),
        (["models", 1, "name"], "base", "two models have the same name"),
        (["models", 1, "name"], "../mlm", "the model name '../mlm' is no file name"),
        (["models", 1, "hidden"], 7.5, "model 'mlm': 'hidden' is not a whole number"),
        (["models", 1, "measures", "charm"], {"value": 1.0}, "model 'mlm': 'measures': there is no measure 'charm'"),
        (["models", 0, "measures", "uniformity"], 3, "'uniformity' is not a mapping"),
        (["models", 0, "measures", "uniformity", "value"], "low", "'value' is not a number"),
        (["models", 0, "measures", "uniformity", "low"], 5.0, "'uniformity' has its interval upside down"),
        (["models", 0, "cosines", "within"], [1, 2], "'within' is not of size 100"),
        (["models", 0, "cosines", "within", 3], 0.5, "'within' holds something that is not a whole number"),
        (["models", 0, "cosines", "within", 3], -2, "'within' holds a number that is negative"),
        (["models", 0, "cosines", "edges", 3], -2.0, "'edges' do not rise"),
        (["models", 0, "category_cosine", 1], [0.0], "'category_cosine' is not of size"),
        (["models", 0, "sweeps", "charm"], {}, "there is no kind of graph 'charm'"),
        (["models", 0, "sweeps", "knn", "values"], [2, 5], "'graph_components' is not of size 2"),
        (["models", 0, "percolation", "curve"], None, "'curve' is not a mapping"),
        (["models", 0, "drawing", "documents", 0], 60, "'documents' names number 60 of 60"),
        (["models", 0, "drawing", "edges", 0], [0, 60], "'edges' names number 60 of 60"),
        (["models", 0, "drawing", "edges", 0], [0, 1, 2], "'edges' is not of size any by 2"),
        (["models", 0, "drawing", "x", 0], float("inf"), "'x' holds a number that is not finite"),
        (["models", 0, "drawing", "kind"], "charm", "'kind' is not one of"),
    ],
)
def test_every_fault_is_told_with_its_place(write_space, path, value, words):
    folder = write_space(documents=60, categories=NAMES, change=lambda content: set_in(content, path, value))
    with pytest.raises(InputError) as caught:
        load_space_results(folder)
    assert words in str(caught.value) and str(folder) in str(caught.value)


def test_faults_of_files(write_space, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(InputError, match="no such folder"):
        load_space_results(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no results\.json"):
        load_space_results(tmp_path)
    folder = write_space(documents=20, categories=NAMES)
    file = folder / "coordinates" / "mlm.parquet"
    table = pq.read_table(file)

    def fault(columns, words):
        pq.write_table(pa.table(columns), file)
        with pytest.raises(InputError, match=words):
            load_space_results(folder)

    columns = {name: table[name].to_pylist() for name in table.column_names}
    ids = ["other", *columns["document_id"][1:]]
    fault(columns | {"document_id": ids}, r"mlm\.parquet: holds other documents than that of the first model")
    fault({name: values for name, values in columns.items() if name != "tsne_y"}, "column 'tsne_y': has no such column")
    fault({name: values[1:] for name, values in columns.items()}, "holds 19 documents, not 20")
    fault(columns | {"category": ["Botany", *columns["category"][1:]]}, "row 1, column 'category': not one of")
    fault(columns | {"pca_x": ["wide"] * 20}, "coordinates that are not numbers")
    file.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match="cannot be read as a table"):
        load_space_results(folder)
    file.unlink()
    with pytest.raises(InputError, match=r"mlm\.parquet: no such file"):
        load_space_results(folder)
    (folder / "results.json").write_text('{"kind": ')
    with pytest.raises(InputError, match="is not whole JSON"):
        load_space_results(folder)


def test_twenty_categories_stay_apart_and_the_most_frequent_by_colour_alone():
    counts = [5, 80, 20, *range(100, 117)]
    looks = category_looks(counts)
    assert len(set(looks)) == 20
    assert {looks[number].shape for number in by_frequency(counts)[:7]} == {"disc"}
    assert len({looks[number].colour for number in by_frequency(counts)[:7]}) == 7
    many = category_looks(range(50))
    assert len(set(many)) == DISTINCT + 1 and many[0].colour is None and many[49].colour is not None


def test_the_order_of_a_heat_map_puts_alike_categories_side_by_side(write_space):
    def change(content):
        content["reference"] = "mlm"
        near = [[0.1] * 4 for _ in range(4)]
        near[0][2] = near[2][0] = near[1][3] = near[3][1] = 0.9
        content["models"][1]["category_cosine"] = near

    results = load_space_results(write_space(documents=40, categories=("a", "b", "c", "d"), change=change))
    order = heat_map_order(results)
    assert sorted(order) == [0, 1, 2, 3]
    assert abs(order.index(0) - order.index(2)) == 1 and abs(order.index(1) - order.index(3)) == 1
    kept = heat_map_order(results, limit=2)
    assert kept == sorted(np.argsort(-results.category_counts, kind="stable")[:2].tolist())


def test_shown_documents_are_a_fixed_draw_that_prefers_those_of_every_tsne(write_space):
    results = load_space_results(write_space(documents=60, categories=NAMES))
    assert shown_documents(results).tolist() == list(range(60))
    results.models[1].maps["tsne"][::2] = np.nan
    drawn = shown_documents(results, 40)
    assert len(drawn) == 40 and set(range(1, 60, 2)) <= set(drawn.tolist())
    assert drawn.tolist() == sorted(drawn.tolist()) == shown_documents(results, 40).tolist()
