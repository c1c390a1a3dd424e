"""Results of taggers: the folder and its faults, rows, tables, figures and the whole report."""

import json
import re

import numpy as np
import pytest

from corpora.errors import InputError
from metrics.intervals import paired_difference
from metrics.tagging_scores import score_documents, tagging_counts
from reporting.report_folder import write_report_files
from reporting.tagging_figures import error_bars, learning_curve, type_confusion
from reporting.tagging_report import make_tagging_report, tagging_markdown, write_tagging_report
from reporting.tagging_results import join_tagging_results, load_tagging_results, read_cell_counts, write_cell_counts
from reporting.tagging_rows import aggregate_tagging_rows, best_tagging_row, compare_tagging_rows, largest_share

LABELS = ("ADE", "Dosage", "Drug")
SHARES = (1, 5, 10, 25, 50, 100)
SYSTEMS = {"bert_crf": 0.93, "bert_apt": 0.9, "transformer_crf": 0.7}


def made_up_gold(documents, labels, rng):
    return [
        [
            (str(rng.choice(labels)), 6 * place, int(6 * place + rng.integers(1, 4)))
            for place in range(rng.integers(0, 9))
        ]
        for _ in range(documents)
    ]


def made_up_predictions(gold, labels, quality, rng):
    """Each entity found, with an error of some kind, or missed; some are made up."""
    predicted = []
    for spans in gold:
        said = []
        for label, start, end in spans:
            draw = rng.random()
            other = str(rng.choice(labels))
            if draw < quality:
                said.append((label, start, end))
            else:
                kind = rng.integers(5)
                said += [(label, start, end + 1)] if kind < 2 else []
                said += [(other, start, end)] if kind == 2 else []
                said += [(other, start, end + 1)] if kind == 3 else []
            if rng.random() < 0.1 * (1 - quality):
                said.append((other, start + 4, start + 5))
        predicted.append(said)
    return predicted


def write_study(
    folder, systems=SYSTEMS, shares=SHARES, seeds=(0, 1, 2), documents=40, labels=LABELS, collapsed=(), change=None
):
    """A folder as scripts/tag.py writes it; `collapsed` holds (system, share, seed)."""
    (folder / "cells").mkdir(parents=True)
    gold = made_up_gold(documents, labels, np.random.default_rng(0))
    ids = [f"note-{number}" for number in range(documents)]
    cells = []
    for number, (system, quality) in enumerate(systems.items()):
        for share in shares:
            for seed in seeds:
                rng = np.random.default_rng([number, int(share * 10), seed])
                name = f"{system}-{share}-{seed}"
                fallen = (system, share, seed) in collapsed
                reached = quality * (1 - 0.7 / (1 + share / 4)) + rng.normal(0, 0.01)
                predicted = [[]] * documents if fallen else made_up_predictions(gold, labels, reached, rng)
                write_cell_counts(folder / "cells" / f"{name}.npz", tagging_counts(gold, predicted, ids, labels))
                tokens = {"token_level_f1_macro": 0.9 + 0.01 * seed, "token_level_f1_weighted": 0.96}
                cells.append(
                    {
                        "id": name,
                        "system": system,
                        "share": share,
                        "seed": seed,
                        "collapse": "all O" if fallen else None,
                        "training_sentences": 40 * share,
                        "trained_parameters": 108_300_000,
                        "seconds": 2.0 * share + seed,
                        "metrics": score_documents(gold, predicted) | tokens,
                        "counts": f"cells/{name}.npz",
                    }
                )
    results = {
        "schema_version": 1,
        "kind": "tagging",
        "corpus": "made-up notes",
        "corpus_digest": "3f6c1b0d9e8a",
        "split": "test",
        "labels": list(labels),
        "cells": cells,
    }
    if change:
        change(results)
    (folder / "results.json").write_text(json.dumps(results))
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A whole study with one collapsed run and one system that always collapses at 1 %; do not write into it."""
    collapsed = {("bert_apt", 1, 1), *(("transformer_crf", 1, seed) for seed in (0, 1, 2))}
    folder = write_study(tmp_path_factory.mktemp("study") / "tags", collapsed=collapsed)
    return load_tagging_results(folder)


@pytest.fixture(scope="module")
def rows(study):
    return aggregate_tagging_rows(study, resamples=100)


def row_of(rows, system, share):
    return next(row for row in rows if (row.system, row.share) == (system, share))


def test_counts_are_read_as_they_were_written(tmp_path):
    rng = np.random.default_rng(1)
    gold = made_up_gold(5, LABELS, rng)
    counts = tagging_counts(gold, made_up_predictions(gold, LABELS, 0.5, rng), "abcde", LABELS)
    for name in ("first", "second"):
        write_cell_counts(tmp_path / f"{name}.npz", counts)
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()
    found = read_cell_counts(tmp_path / "first.npz")
    assert (found.document_ids, found.labels) == (tuple("abcde"), LABELS)
    for name in ("strict", "matching", "errors", "confusion"):
        np.testing.assert_array_equal(getattr(found, name), getattr(counts, name))
    assert not list(tmp_path.glob("*.partial"))


def test_loading_a_folder(study):
    assert (study.corpus, study.split, study.labels) == ("made-up notes", "test", LABELS)
    assert len(study.document_ids) == 40 and len(study.cells) == 54
    cell = study.cells[0]
    assert (cell.system, cell.share, cell.seed, cell.collapse) == ("bert_crf", 1.0, 0, None)
    assert study.gold.shape == (40, 3) and study.gold.sum() == cell.metrics["gold_entities"]


FAULTS = {
    "a system twice": (lambda r: r["cells"][1].update(seed=0), "two cells have the same system, share and seed"),
    "an id twice": (lambda r: r["cells"][1].update(id="a-100-0"), "two cells have the same id"),
    "no share": (lambda r: r["cells"][0].update(share=0), "'share' is not above 0"),
    "no seed": (lambda r: r["cells"][0].pop("seed"), "'seed' is missing"),
    "collapse": (lambda r: r["cells"][0].update(collapse=True), "'collapse' is not text"),
    "no counts": (lambda r: r["cells"][0].update(counts="cells/b.npz"), "no such file"),
    "outside": (lambda r: r["cells"][0].update(counts="../b.npz"), "outside the folder"),
    "other labels": (lambda r: r.update(labels=["ADE", "Drug"]), "types are not those of results.json"),
    "kind": (lambda r: r.update(kind="classification"), "is not of a tagging study"),
    "version": (lambda r: r.update(schema_version=2), "schema version 2, not 1"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_a_folder(name, tmp_path):
    change, message = FAULTS[name]
    folder = write_study(tmp_path / "tags", {"a": 0.9}, (100,), (0, 1), documents=3, change=change)
    with pytest.raises(InputError, match=re.escape(message)):
        load_tagging_results(folder)


def test_faults_of_counts(tmp_path):
    folder = write_study(tmp_path / "tags", {"a": 0.9}, (100,), (0, 1), documents=4)
    file = folder / "cells" / "a-100-0.npz"
    with np.load(file) as arrays:
        good = dict(arrays)
    more = good["strict"] + np.array([1, 0, 0])
    other_gold = good["strict"] + np.array([0, 0, 1])
    changes = [
        ({"strict": good["strict"][:3]}, "holds 'strict' of shape"),
        ({"errors": good["errors"].astype(float)}, "holds 'errors' of type float64"),
        ({"confusion": good["confusion"] - 1}, "negative number in 'confusion'"),
        ({"document_ids": np.array(["a", "b", "b", "c"])}, "same name twice in 'document_ids'"),
        ({"document_ids": good["document_ids"][::-1]}, "the order of the scored documents differs"),
        ({"document_ids": np.array(["a", "b", "c", "d"])}, "4 are missing, 4 are new"),
        ({"strict": more}, "more true positives than entities"),
        ({"strict": other_gold}, "the gold entities of 4 documents differ"),
        ({"labels": np.array(["ADE", "Dosage", "Form"])}, "types are not those of results.json"),
    ]
    for change, message in changes:
        np.savez(file, **{**good, **change})
        with pytest.raises(InputError, match=re.escape(message)):
            load_tagging_results(folder)
    np.savez(file, **{name: array for name, array in good.items() if name != "matching"})
    with pytest.raises(InputError, match="holds no array 'matching'"):
        load_tagging_results(folder)
    write_cell_counts(file, read_cell_counts(folder / "cells" / "a-100-1.npz"))
    whole = file.read_bytes()
    middle = whole.index(b"strict.npy") + 60
    file.write_bytes(whole[:middle] + bytes(20) + whole[middle + 20 :])
    with pytest.raises(InputError, match="cannot be read as NumPy arrays"):
        load_tagging_results(folder)
    file.write_bytes(whole[:100])
    with pytest.raises(InputError, match="cannot be read as NumPy arrays"):
        load_tagging_results(folder)


def test_joining_folders(tmp_path):
    first, second, other = (
        load_tagging_results(write_study(tmp_path / name, systems, (100,), (0, 1), documents))
        for name, systems, documents in (("x", {"a": 0.9}, 9), ("y", {"a": 0.9, "b": 0.5}, 9), ("z", {"b": 0.5}, 8))
    )
    joined = join_tagging_results([first, second])
    assert [cell.id for cell in joined.cells] == ["a-100-0", "a-100-1", "b-100-0", "b-100-1"]
    with pytest.raises(InputError, match="1 are missing, 0 are new"):
        join_tagging_results([first, other])
    renamed = load_tagging_results(write_study(tmp_path / "w", {"a": 0.4}, (100,), (0, 1), 9))
    with pytest.raises(InputError, match="other counts than the cell of the same system"):
        join_tagging_results([first, renamed])


def test_rows_leave_collapsed_runs_out(rows, study):
    assert [(row.system, row.share) for row in rows[:7]] == [("bert_crf", s) for s in SHARES] + [("bert_apt", 1)]
    row = row_of(rows, "bert_apt", 1)
    assert row.seeds == (0, 2) and [run.seed for run in row.collapsed] == [1]
    expected = [c.metrics["f1_micro"] for c in study.cells if (c.system, c.share) == ("bert_apt", 1) and c.seed != 1]
    assert row.mean("f1_micro") == pytest.approx(np.mean(expected)) and len(expected) == 2
    assert row.metrics["token_level_f1_macro"] == pytest.approx(0.91)
    low, high = row.interval("f1_micro")
    assert low < row.mean("f1_micro") < high
    gone = row_of(rows, "transformer_crf", 1)
    assert not gone.scores and not gone.seeds and len(gone.collapsed) == 3 and not gone.metrics


def test_comparisons_are_paired_and_adjusted(rows):
    found = compare_tagging_rows(rows, "bert_crf")
    # Where every run of a system collapsed there is none.
    assert [(one.system, one.share) for one in found] == [
        *(("bert_apt", share) for share in SHARES),
        *(("transformer_crf", share) for share in SHARES[1:]),
    ]
    one = found[-1]
    pair = (row_of(rows, system, 100).scores["f1_micro"] for system in ("transformer_crf", "bert_crf"))
    expected = paired_difference(*pair)
    assert (one.difference, one.p_value) == (expected.difference, expected.p_value)
    assert one.difference < -0.1 and one.adjusted_p_value == pytest.approx(min(1, 11 / 101))
    # Of other seeds: drawn by themselves.
    first, second = (row_of(rows, system, 1).scores["f1_micro"] for system in ("bert_apt", "bert_crf"))
    assert found[0].interval == paired_difference(first, second, same_seeds=False).interval


def test_tables(study):
    report = make_tagging_report(study, resamples=20)
    assert report.resamples == 440  # as eleven comparisons need
    text = tagging_markdown(report)
    head = "| System | Runs | Micro-F1 | Macro-F1 | Weighted F1 | Precision | Recall |\n"
    relaxed = "| System | Runs | Exact F1 | Partial F1 | Type F1 | token_level macro-F1 | token_level weighted F1 |\n"
    assert (
        text.count("\n# ") == 0
        and text.startswith("# Entities of made-up notes\n")
        and head in text
        and relaxed in text
    )
    best = row_of(report.rows, "bert_crf", 100)
    low, high = best.interval("f1_micro")
    assert f"| bert_crf | 3 | **{best.mean('f1_micro'):.3f}** [{low:.3f}, {high:.3f}] |" in text
    line = next(line for line in text.splitlines() if line.startswith("| transformer_crf | 3 |"))
    assert "▼" in line
    curve = text.split("## Learning curve")[1]
    assert re.search(r"\| bert_apt \| \S+ \[0\.\d{3}, 0\.\d{3}\] \(2 of 3\) \|", curve)
    assert re.search(r"\| transformer_crf \| collapsed \| 0\.\d{3} \[", curve)
    fallen = text.split("## Collapsed runs")[1].split("##")[0]
    assert fallen.count("all O | 0.000 |") == 4 and "| bert_apt | 1 % | 1 | all O | 0.000 | 0.910 |" in fallen
    errors = text.split("## Errors, trained on 100 %")[1].split("##")[0]
    correct, *_ = best.errors().sum(0)
    share = f"({100 * correct / study.gold.sum():.1f} %)"
    assert share in next(line for line in errors.splitlines() if line.startswith("| bert_crf |"))
    assert "| transformer_crf | 100 % | 4,000 | 108,300,000 | 201.0 |" in text.split("## Cost")[1]
    types = text.split("## Types: bert_crf")[1].split("##")[0]
    assert types.count("\n| ") == 5 and f"| Drug | {study.gold.sum(0)[2]} |" in types


def test_a_study_of_collapsed_runs_alone(tmp_path):
    collapsed = {("a", 100, 0), ("a", 100, 1)}
    study = load_tagging_results(write_study(tmp_path / "tags", {"a": 0.9}, (100,), (0, 1), 6, collapsed=collapsed))
    files = write_tagging_report(study, tmp_path / "report", resamples=20)
    assert [file.name for file in files] == ["comparisons.json", "table.md"]
    text = files[1].read_text()
    assert "| a | 0 of 2 |" in text and text.count("all O") == 2


def test_words_of_the_user_are_checked(study):
    with pytest.raises(InputError, match="no system is called 'bert'"):
        make_tagging_report(study, "bert")
    with pytest.raises(InputError, match="no interval for 'accuracy'"):
        make_tagging_report(study, metric="accuracy")


def test_the_learning_curve_shows_means_bands_and_collapsed_runs(rows):
    figure = learning_curve(rows)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "5", "10", "25", "50", "100"]
    lines = {tuple(line.get_xdata()): line.get_ydata() for line in axes.lines if len(line.get_xdata()) > 1}
    assert {len(where) for where in lines} == {6, 5}  # the last system has no mean at 1 %
    expected = [row_of(rows, "transformer_crf", share).mean("f1_micro") for share in SHARES[1:]]
    np.testing.assert_allclose(lines[SHARES[1:]], expected)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*SYSTEMS, "collapsed run"]
    crosses = [part.get_offsets() for part in axes.collections if part.get_zorder() == 3]
    # Two systems side by side, three runs of one at the same place.
    assert [len(points) for points in crosses] == [1, 3] and [text.get_text() for text in axes.texts] == ["3"]
    assert all((points[:, 1] == 0).all() and np.allclose(points[:, 0], points[0, 0]) for points in crosses)
    assert 0.9 < crosses[0][0, 0] < 1 < crosses[1][0, 0] < 1.1
    assert axes.get_ylabel() == "Micro-F1 (strict)"
    assert learning_curve(rows, "exact_f1").axes[0].get_ylabel() == "Exact F1"
    assert axes.get_ylim()[0] < 0 and not texts_outside(figure)


def test_the_confusion_of_types(rows):
    best = best_tagging_row(rows, "f1_micro")
    counts = best.confusion()
    figure = type_confusion(counts, LABELS, "bert_crf")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == [*LABELS, "none"]
    shares = axes.images[0].get_array()
    np.testing.assert_allclose(shares.sum(1), 1)
    assert shares[0, 0] == pytest.approx(counts[0, 0] / counts[0].sum())
    assert axes.get_ylabel() == "Gold type (entities)" and not texts_outside(figure)


def test_the_bars_of_errors(rows, study):
    chosen = largest_share(rows)
    figure = error_bars(chosen)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(SYSTEMS)
    missed = next(bars for bars in axes.containers if bars.get_label() == "Missed")
    expected = [100 * row.errors().sum(0)[4] / study.gold.sum() for row in chosen]
    np.testing.assert_allclose([bar.get_width() for bar in missed], expected)
    totals = [f" {100 * row.errors().sum(0)[1:].sum() / study.gold.sum():.1f}" for row in chosen]
    assert [text.get_text() for text in axes.texts] == totals and not texts_outside(figure)


def test_systems_without_an_error_have_a_figure_too(tmp_path):
    write_study(tmp_path / "perfect", systems={"perfect": 2.0}, shares=(100,), seeds=(0,))
    results = load_tagging_results(tmp_path / "perfect")
    for cell in results.cells:
        counts = cell.counts.strict
        assert (counts[..., 0] == counts[..., 2]).all() and (counts[..., 0] == counts[..., 1]).all()
    written = write_tagging_report(results, tmp_path / "report", resamples=50)
    assert (tmp_path / "report" / "error_classes.png") in written


def test_one_type_has_no_confusion(tmp_path):
    study = load_tagging_results(write_study(tmp_path / "tags", {"a": 0.7}, (100,), (0,), 12, labels=("Drug",)))
    names = [file.name for file in write_tagging_report(study, tmp_path / "report", resamples=20)]
    assert names == ["comparisons.json", "error_classes.png", "error_classes.svg", "table.md"]
    figure = error_bars(aggregate_tagging_rows(study, 20))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Boundary", "Missed", "Spurious"]


def texts_outside(figure):
    """Texts that are drawn but do not lie within the figure."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    box = figure.bbox.padded(1)
    hidden = {
        id(tick.label2) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for tick in axis.get_major_ticks()
    }
    unseen = {
        id(tick.label1)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    drawn = [text for text in texts if id(text) not in hidden | unseen]
    assert len(drawn) > 3
    extents = [(text.get_text(), text.get_window_extent()) for text in drawn]
    return [name for name, extent in extents if not (box.contains(*extent.min) and box.contains(*extent.max))]


def test_the_report_is_written_whole(study, tmp_path):
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "notes.txt").write_text("kept")
    (folder / "learning_curve.png").write_text("of an earlier report")
    files = write_tagging_report(study, folder, resamples=20)
    figures = [
        f"{name}.{suffix}"
        for name in ("error_classes", "learning_curve", "type_confusion")
        for suffix in ("png", "svg")
    ]
    assert [file.name for file in files] == sorted([*figures, "comparisons.json", "table.md"])
    assert all(file.parent == folder and file.stat().st_size > 500 for file in files)
    assert (folder / "notes.txt").read_text() == "kept" and not (folder / "report.partial").exists()
    content = json.loads((folder / "comparisons.json").read_text(), parse_constant=pytest.fail)
    assert content["reference"] == "bert_crf" and len(content["rows"]) == 18 and len(content["comparisons"]) == 11
    row = next(row for row in content["rows"] if (row["system"], row["share"]) == ("bert_apt", 1))
    assert row["seeds"] == [0, 2] and row["collapsed"] == [{"seed": 1, "collapse": "all O"}]
    assert len(row["scores"]["f1_of_Drug"]["by_seed"]) == 2


def test_a_report_that_fails_leaves_the_folder_as_it_was(tmp_path):
    def write(folder):
        (folder / "table.md").write_text("new")
        raise RuntimeError

    folder = tmp_path / "a" / "b"
    with pytest.raises(RuntimeError):
        write_report_files(folder, write, [])
    assert not (tmp_path / "a").exists()
    folder.mkdir(parents=True)
    (folder / "table.md").write_text("old")
    with pytest.raises(RuntimeError):
        write_report_files(folder, write, ["table.md"])
    assert (folder / "table.md").read_text() == "old" and len(list(folder.iterdir())) == 1
