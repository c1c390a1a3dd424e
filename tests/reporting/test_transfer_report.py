"""Transfer results: reading and its faults, rows and comparisons, tables, figures, the folder."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from corpora.errors import InputError
from metrics.intervals import holm
from reporting.transfer_comparison_figures import comparison_figures
from reporting.transfer_comparisons import compare_vectors, enough_resamples
from reporting.transfer_figures import CONTROL_COLOURS, transfer_figures
from reporting.transfer_report import comparisons_json, main_tables, make_report, report_markdown, write_report
from reporting.transfer_results import (
    Place,
    System,
    join_transfer_results,
    load_transfer_results,
    transfer_rows,
)
from reporting.transfer_tables import place_name, system_name, vocabulary_name

# Embedding and how well it ranks.
QUALITY = {"one_hot": 1.0, "random": 1.1, "minilm": 2.4, "a|b": 1.0}
OUTCOMES = (np.arange(160) % 4 == 0).astype(int)


def cell(embedding, setting, protocol, source, size, seed, vocabulary="full", quality=None, classifier="set_max"):
    parts = [vocabulary, source, embedding, setting, classifier, protocol, f"n{size}", seed]
    found = {
        "id": "-".join(str(part) for part in parts if part is not None),
        "embedding": embedding,
        "classifier": classifier,
        "setting": setting,
        "protocol": protocol,
        "source": source,
        "vocabulary": vocabulary,
        "size": size,
        "seed": seed,
        "quality": QUALITY.get(embedding, 3.0) if quality is None else quality,
    }
    if protocol.startswith("tuned"):
        found["trajectory"] = [{"epoch": epoch, "test_auroc": 0.6 + 0.1 * epoch + 0.01 * seed} for epoch in range(3)]
        found["best_epoch"] = seed % 3
    return found


def study(settings=("scaled",), vocabularies=("full",), seeds=3):
    cells = [cell(None, None, "ceiling", None, 0, 0, quality=3.2, classifier="bayes_ceiling")]
    for vocabulary in vocabularies:
        for setting in settings:
            for name in QUALITY:
                for seed in range(seeds):
                    if vocabulary == "full":
                        cells += [cell(name, setting, "local", None, size, seed) for size in (50, None)]
                    cells.append(cell(name, setting, "direct", "north", 0, seed, vocabulary))
                    if vocabulary == "full":
                        for protocol in ("tuned_head", "tuned_all"):
                            cells += [cell(name, setting, protocol, "north", size, seed) for size in (50, None)]
    return cells


def write(folder, cells, **changes):
    generator = np.random.default_rng(0)
    (folder / "cells").mkdir(parents=True)
    noise = generator.normal(0, 1, len(OUTCOMES))  # shared, so that differences are paired
    for one in cells:
        quality = one.pop("quality")
        scores = quality * OUTCOMES + noise + generator.normal(0, 0.2, len(OUTCOMES))
        probabilities = (1 / (1 + np.exp(1.5 - scores))).astype(np.float32)
        one["predictions"] = f"cells/{one['id']}.npz"
        one["metrics"] = {
            "auroc": roc_auc_score(OUTCOMES, probabilities),
            "brier": float(((probabilities - OUTCOMES) ** 2).mean()),
        }
        np.savez(folder / one["predictions"], probabilities=probabilities)
    patients = np.arange(len(OUTCOMES)) // 2
    ids = np.arange(len(OUTCOMES)).astype(str)
    np.savez(folder / "test_targets.npz", targets=OUTCOMES, patients=patients, document_ids=ids)
    sites = {
        name: {"encounters": 1200, "positives": 300, "codes": 20, "without_states": 1} for name in ("north", "so|uth")
    }
    overlap = {"source": "north", "source_codes": 20, "target_codes": 25, "shared_codes": 12}
    overlaps = [
        {"vocabulary": name, **overlap, "share_of_target_said_in_shared_codes": 0.5}
        for name in dict.fromkeys(one["vocabulary"] for one in cells)
    ]
    results = {
        "schema_version": 1,
        "kind": "concept_transfer",
        "target": "so|uth",
        "sites": sites,
        "overlaps": overlaps,
    }
    (folder / "results.json").write_text(json.dumps({**results, "test_encounters": 160, "cells": cells, **changes}))
    return folder


@pytest.fixture
def results(tmp_path):
    return load_transfer_results(write(tmp_path / "study", study()))


def test_rows_are_means_over_seeds_with_intervals(results):
    rows = transfer_rows(results, 300)
    assert len(rows) == 1 + 4 * 7
    row = next(
        row for row in rows if row.place == Place("full", "north", "tuned_all", None) and "mini" in row.system.embedding
    )
    assert row.seeds == (0, 1, 2) and row.best_epochs == (0, 1, 2) and row.trajectories.shape == (3, 3)
    by_hand = [roc_auc_score(OUTCOMES, one) for one in row.probabilities]
    assert row.mean == pytest.approx(np.mean(by_hand)) and row.metrics["auroc"] == pytest.approx(row.mean)
    assert row.interval[0] < row.mean < row.interval[1]
    direct = next(row for row in rows if row.place.protocol == "direct")
    assert direct.trajectories is None and direct.best_epochs == ()


def test_every_kind_of_vectors_is_compared_with_the_controls_of_its_column(results):
    rows = transfer_rows(results, 400)
    found = compare_vectors(rows)
    # Three others at seven places, against each of two controls.
    assert len(found) == 2 * 3 * 7
    better = [one for one in found if one.system.embedding == "minilm"]
    assert all(one.significant and one.difference > 0.05 and one.interval[0] > 0 for one in better)
    place = Place("full", "north", "direct", 0)
    column = [one for one in found if one.place == place and one.reference == "one_hot"]
    expected = holm([one.p_value for one in column])
    np.testing.assert_allclose([one.adjusted_p_value for one in column], expected)
    same = next(one for one in column if one.system.embedding == "a|b")
    assert not same.significant and same.interval[0] < 0 < same.interval[1]
    forth, back = (
        next(o for o in found if o.place == place and (o.system.embedding, o.reference) == pair)
        for pair in (("random", "one_hot"), ("one_hot", "random"))
    )
    assert forth.difference == pytest.approx(-back.difference)
    # 30 systems in a column need 1,200 resamples for the smallest p-value to stand after Holm.
    keys = [(System(str(n), "set_max", "scaled"), place) for n in range(30)]
    assert enough_resamples(keys * 5, 1000) == 1200 and enough_resamples(keys[:3], 1000) == 1000


def test_tables(results):
    report = make_report(results, 300)
    text = report_markdown(report)
    assert main_tables(report) in text and text.startswith("# Transfer to so\\|uth\n")
    assert "160 test encounters, 40 with the outcome." in text
    assert "## Full vocabularies, the target alone: so\\|uth" in text
    heads = [line for line in text.splitlines() if line.startswith("| AUROC |")]
    assert heads == [
        "| AUROC | local, 50 | local, all |",
        "| AUROC | direct | tuned, last layer, 50 | tuned, last layer, all | tuned, all, 50 | tuned, all, all |",
    ]
    lines = {line.split(" | ")[0][2:]: line for line in text.splitlines() if line.startswith("| ")}
    assert "a\\|b, concept set, maximum" in text and "minilm, concept set, maximum" in lines
    minilm = next(line for line in text.splitlines() if line.startswith("| minilm, concept set, maximum | **"))
    assert minilm.count("**") == 2 * 2 and minilm.count("▲") == 2
    assert "Best possible on these test encounters: 0.9" in text and "mean over 3 seeds" in text
    assert "| full vocabularies | north | 20 | 25 | 12 | 50 % |" in text
    assert system_name(System("one_hot", "set_max", "raw"), ["scaled", "raw"]) == "one-hot, concept set, maximum, raw"
    assert place_name(Place("full", "north", "tuned_head", 1000)) == "tuned, last layer, 1,000"
    assert vocabulary_name("renamed_0.5") == "50 % of the shared codes renamed"


def texts_outside(figure):
    from matplotlib.text import Text

    figure.draw_without_rendering()
    box = figure.bbox.padded(1)
    ticks = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not axis.get_view_interval()[0] <= tick.get_loc() <= axis.get_view_interval()[1]
    }
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text() and id(text) not in ticks]
    extents = [(text.get_text(), text.get_window_extent()) for text in texts]
    assert len(extents) > 3
    return [name for name, extent in extents if not (box.contains(*extent.min) and box.contains(*extent.max))]


def test_figures(tmp_path):
    from matplotlib.colors import to_hex

    cells = study(settings=("scaled", "raw"), vocabularies=("full", "dealt", "renamed_1"))
    rows = transfer_rows(load_transfer_results(write(tmp_path / "s", cells)), 100)
    figures = {**transfer_figures(rows), **comparison_figures(rows, OUTCOMES)}
    assert sorted(figures) == [
        "transfer_calibration",
        "transfer_ranking",
        "transfer_sizes",
        "transfer_tuning_all",
        "transfer_tuning_n50",
        "transfer_vocabularies",
    ]
    for name, figure in figures.items():
        assert not texts_outside(figure), name
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        expected = ["scaled", "raw"] if name == "transfer_ranking" else ["one-hot", "random vectors", "minilm", "a|b"]
        assert set(legend) - {"best possible"} == set(expected), name

    titles = [axes.get_title(loc="left") for axes in figures["transfer_sizes"].axes]
    assert titles == ["the target alone: local", "from north: tuned, last layer", "from north: tuned, all"]
    local, tuned = figures["transfer_sizes"].axes[0], figures["transfer_sizes"].axes[2]
    assert [label.get_text() for label in tuned.get_xticklabels()] == ["0", "50", "all"]

    def line(axes, colour):
        return next(one for one in axes.lines if to_hex(one.get_color()) == colour and len(one.get_xdata()) > 1)

    grey = CONTROL_COLOURS["one_hot"].lower()
    means = {
        (row.place.protocol, row.place.size): row.mean
        for row in rows
        if row.system == System("one_hot", "set_max", "scaled") and row.place.vocabulary == "full"
    }
    np.testing.assert_array_equal(line(local, grey).get_ydata(), [means["local", 50], means["local", None]])
    # A tuned classifier begins where direct transfer ends.
    expected = [means["direct", 0], means["tuned_all", 50], means["tuned_all", None]]
    np.testing.assert_array_equal(line(tuned, grey).get_ydata(), expected)

    axes = figures["transfer_tuning_n50"].axes[0]
    np.testing.assert_allclose(line(axes, grey).get_ydata(), [0.61, 0.71, 0.81])
    marks = next(one for one in axes.lines if one.get_linestyle() == "None" and len(one.get_xdata()) == 3)
    np.testing.assert_allclose(sorted(marks.get_ydata()), [0.6, 0.71, 0.82])  # of each seed at its own epoch

    ranking = figures["transfer_ranking"].axes
    assert [axes.get_title(loc="left") for axes in ranking] == ["local, all encounters", "direct from north"]
    vocabularies = figures["transfer_vocabularies"].axes[0]
    names = [label.get_text() for label in vocabularies.get_yticklabels()]
    assert names[-1] == "full vocabularies" and names[0] == "100 % of the shared codes\nrenamed"


def test_one_size_and_nothing_tuned_leave_figures_out(tmp_path):
    cells = [one for one in study() if one["protocol"] == "direct"]
    rows = transfer_rows(load_transfer_results(write(tmp_path / "s", cells)), 50)
    assert not transfer_figures(rows)
    assert sorted(comparison_figures(rows, OUTCOMES)) == ["transfer_calibration", "transfer_ranking"]


def test_the_folder_is_whole_and_stale_figures_go(tmp_path):
    folder = write(tmp_path / "study", [one for one in study() if one["protocol"] in ("direct", "ceiling")])
    report = make_report(load_transfer_results(folder), 100)
    out = tmp_path / "report"
    (out / "report.partial").mkdir(parents=True)
    (out / "report.partial" / "left.png").touch()
    (out / "transfer_sizes.png").touch()
    (out / "notes.txt").write_text("mine")
    files = write_report(report, out)
    names = {"table.md", "comparisons.json"} | {
        f"transfer_{name}.{kind}" for name in ("ranking", "calibration") for kind in ("png", "svg")
    }
    assert {file.name for file in files} == names and {file.name for file in out.iterdir()} == names | {"notes.txt"}
    assert json.loads((out / "comparisons.json").read_text()) == comparisons_json(report)
    found = json.loads((out / "comparisons.json").read_text())
    assert len(found["rows"]) == 5 and len(found["comparisons"]) == 6
    assert {"embedding", "protocol", "interval", "by_seed", "metrics"} <= found["rows"][0].keys()


def test_damaged_folders_are_told_by_their_first_fault(tmp_path):
    def fails(message, change):
        folder = write(
            tmp_path / f"study{len(list(tmp_path.iterdir()))}",
            [one for one in study(seeds=1) if one["protocol"] == "direct"],
        )
        change(folder)
        with pytest.raises(InputError, match=message):
            load_transfer_results(folder)

    def edit(old, new):
        return lambda folder: (folder / "results.json").write_text(
            (folder / "results.json").read_text().replace(old, new)
        )

    fails("holds no results.json", lambda folder: (folder / "results.json").unlink())
    fails("is not of a transfer study", edit('"concept_transfer"', '"classification"'))
    fails("schema version 2", edit('"schema_version": 1', '"schema_version": 2'))
    fails("'protocol' is not one of", edit('"protocol": "direct"', '"protocol": "sideways"'))
    fails("outside the folder", edit('"predictions": "cells/', '"predictions": "../cells/'))
    fails("'seed' is missing", edit('"seed": 0', '"sed": 0'))
    fails("no such file", lambda folder: (folder / "test_targets.npz").unlink())
    fails("cannot be read", lambda folder: (folder / "test_targets.npz").write_bytes(b"PK"))
    short = "full-north-minilm-scaled-set_max-direct-n0-0.npz"
    fails("160 probabilities", lambda folder: np.savez(folder / "cells" / short, probabilities=np.zeros(3)))
    fails("same id", edit("full-north-minilm-scaled-set_max", "full-north-random-scaled-set_max"))


def test_folders_on_the_same_encounters_are_joined(results, tmp_path):
    local = [cell("minilm", "published", "local", None, None, seed) for seed in range(3)]
    other = load_transfer_results(write(tmp_path / "other", local))
    joined = join_transfer_results([results, other, results])
    assert len(joined.cells) == len(results.cells) + 3 and joined.cells[-1].system.setting == "published"
    with pytest.raises(InputError, match=r"moved: the target differs from .*study; compare results on the same"):
        moved = write(tmp_path / "moved", [cell("minilm", "raw", "local", None, 50, 0)], target="west")
        join_transfer_results([results, load_transfer_results(moved)])
    with pytest.raises(InputError, match="others: the test encounters differ from"):
        others = write(tmp_path / "others", [cell("minilm", "raw", "local", None, 50, 0)])
        np.savez(others / "test_targets.npz", targets=1 - OUTCOMES, patients=np.arange(len(OUTCOMES)) // 2)
        join_transfer_results([results, load_transfer_results(others)])
    again = write(tmp_path / "again", [cell("minilm", "scaled", "local", None, 50, 0, quality=0.1)])
    with pytest.raises(InputError, match=r"again: cell '.*' predicts otherwise than that of the same vectors"):
        join_transfer_results([results, load_transfer_results(again)])
