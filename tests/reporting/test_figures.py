"""Figures: what is drawn, that nothing is cut off, and the files."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex

from reporting.classification_results import load_results
from reporting.figure_style import COLOURS, line_look, save_figure, shortened
from reporting.figures import confusion_matrix, few_shot_curves, frozen_depth_curve, frozen_depths
from reporting.result_rows import aggregate_rows
from reporting.system_names import system_names

PROBES = {(name, "logistic_regression", "windows", "all"): q for name, q in (("base", 1.1), ("declutr", 1.7))}
DEPTHS = {("declutr", "fine_tuned", "windows", depth): 1.5 for depth in ("2", "none", "10", "embeddings")}
MLP = {("declutr", "mlp", "windows", "all"): 1.2}


def rows_of(write_results, systems, **options):
    rows = aggregate_rows(load_results(write_results(systems, **options)), resamples=100)
    return rows, system_names(list(dict.fromkeys(row.system for row in rows)))


def texts_outside(figure):
    """Texts that are drawn but do not lie within the figure."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    box = figure.bbox.padded(1)
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    ticks = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in unseen(axis)}
    drawn = [text for text in texts if id(text) not in ticks]
    assert len(drawn) > 3
    extents = [(text.get_text(), text.get_window_extent()) for text in drawn]
    return [name for name, extent in extents if not (box.contains(*extent.min) and box.contains(*extent.max))]


def unseen(axis):
    """Labels of ticks beyond the axis' limits, which matplotlib makes and does not draw."""
    low, high = sorted(axis.get_view_interval())
    for tick in axis.get_major_ticks():
        if not low <= tick.get_loc() <= high or not tick.label1.get_visible():
            yield tick.label1
        yield tick.label2


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_few_shot_curves_in_one_panel(write_results):
    rows, names = rows_of(write_results, PROBES, shots=(8, 64, 200, None))
    figure = few_shot_curves(rows, names)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["8", "64", "200", "all"]
    positions = axes.get_xticks()
    np.testing.assert_allclose(positions[:3], np.log2([8, 64, 200]))
    assert positions[3] > positions[2] + 1
    # From the best with all documents to the worst; the majority class is far below and left out.
    assert legend(figure) == ["declutr, logistic regression", "base, logistic regression", "TF-IDF"]
    expected = [row.mean for row in rows if row.system.model == "base" and row.shots]
    lines = [line for line in axes.lines if to_hex(line.get_color()) == COLOURS[0].lower()]
    assert any(np.array_equal(line.get_ydata(), expected) for line in lines)
    filled = [part for part in axes.collections if len(part.get_facecolor())]
    band = next(part for part in filled if to_hex(part.get_facecolor()[0]) == COLOURS[0].lower())
    edges = band.get_paths()[0].vertices[:, 1]
    intervals = [row.interval for row in rows if row.system.model == "base" and row.shots]
    assert set(np.ravel(intervals)) <= set(edges)
    low, high = axes.get_ylim()
    assert low < min(row.interval[0] for row in rows if row.system.method != "majority") and high <= 1.02
    assert not texts_outside(figure)


def test_the_majority_class_is_drawn_where_it_is_near(write_results):
    rows, names = rows_of(write_results, {("base", "knn", None, "all"): 0.0}, labels=("no", "yes"), documents=16)
    figure = few_shot_curves(rows, names)
    assert "majority class" in legend(figure)
    assert any(len(set(line.get_ydata())) == 1 and line.get_marker() in ("", "None") for line in figure.axes[0].lines)


def test_one_number_of_shots_has_bars_for_bands(write_results):
    rows, names = rows_of(write_results, PROBES, shots=(16, None))
    axes = few_shot_curves(rows, names).axes[0]
    bars = [part for part in axes.collections if len(part.get_paths()) == 2]  # of the bar at 16 and that at "all"
    assert len(axes.containers) == 3 and len(bars) == 3


def test_many_systems_have_a_panel_for_each_method(write_results):
    methods = ("logistic_regression", "knn", "mlp", "hybrid")
    systems = {(model, method, "windows", "all"): 1.2 for model in ("base", "mlm", "declutr") for method in methods}
    rows, names = rows_of(write_results, systems | DEPTHS, seeds=1, documents=40)
    figure = few_shot_curves(rows, names)
    # Partly frozen systems are left to the other figure; fully fine-tuned ones are there.
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "logistic regression",
        "k-nearest neighbours",
        "MLP head",
        "hybrid with TF-IDF",
        "fine-tuned",
    ]
    assert sorted(legend(figure)) == ["TF-IDF", "base", "declutr", "mlm"]
    for axes in figure.axes[:4]:
        assert {to_hex(line.get_color()) for line in axes.lines} >= {colour.lower() for colour in COLOURS[:3]}
    assert not texts_outside(figure)


def test_lines_stay_apart_beyond_the_colours():
    looks = [tuple(map(str, line_look(number).values())) for number in range(3 * len(COLOURS))]
    assert len(set(looks)) == 3 * len(COLOURS)


def test_frozen_depths_go_from_nothing_to_everything(write_results):
    rows, _ = rows_of(write_results, DEPTHS | MLP | PROBES | {("base", "fine_tuned", "windows", "none"): 1.4})
    curves = frozen_depths(rows)
    assert list(curves) == [("declutr", "windows")]
    members = curves["declutr", "windows"]
    assert [row.system.frozen for row in members] == ["none", "embeddings", "2", "10", "all"]
    assert {row.shots for row in members} == {None} and members[-1].system.method == "mlp"


def test_frozen_depth_curve(write_results):
    other = {("base", "fine_tuned", "windows", depth): 1.0 for depth in ("2", "none")}
    rows, _ = rows_of(write_results, DEPTHS | MLP | other)
    figure = frozen_depth_curve(rows)
    above, below = figure.axes
    assert [label.get_text() for label in below.get_xticklabels()] == ["none", "embed-\ndings", "2", "10", "all"]
    curve = [row for row in rows if row.shots is None and row.system.model == "declutr"]
    drawn = above.containers[0].lines[0].get_ydata()
    assert sorted(drawn) == pytest.approx(sorted(row.mean for row in curve))
    assert below.get_yscale() == "log"
    assert sorted(below.lines[0].get_ydata()) == sorted(row.trained_parameters for row in curve)
    figure.draw_without_rendering()
    assert [tick.get_text() for tick in below.get_yticklabels()][-3:-1] == ["1M", "10M"]
    assert legend(figure) == ["declutr", "base"]
    assert not texts_outside(figure)
    alone = [row for row in rows if row.system.model != "base"]
    assert frozen_depth_curve(alone).axes[0].get_title(loc="left") == "declutr"


def test_no_partly_frozen_encoder_no_curve(write_results):
    rows, _ = rows_of(write_results, MLP | {("declutr", "fine_tuned", "windows", "none"): 1.5})
    assert frozen_depths(rows) == {}
    with pytest.raises(ValueError, match="partly frozen"):
        frozen_depth_curve(rows)


def test_confusion_matrix_of_twenty_long_names():
    rng = np.random.default_rng(0)
    labels = [f"Department of {'Rather ' * (n % 4)}Special Medicine {n} $x_{n}$" for n in range(19)] + ["w" * 70]
    counts = rng.poisson(0.3, (20, 20)) + np.diag(np.full(20, 30.0))
    counts[3] = 0  # no document of this class
    figure = confusion_matrix(counts, labels, "declutr, hybrid with TF-IDF, " * 5)
    assert not texts_outside(figure)
    (axes,) = figure.axes
    # Rows do not overlap their neighbours.
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(upper.y0 >= lower.y1 - 1 for upper, lower in pairwise(boxes))
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert all(left.x1 <= right.x0 + 1 for left, right in pairwise(boxes))
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown[0, 0] == f"{100 * counts[0, 0] / counts[0].sum():.0f}" and (3, 3) not in shown
    assert len(shown) == np.count_nonzero(counts)
    assert "($" not in axes.get_yticklabels()[0].get_text() and "$x_0$" in axes.get_yticklabels()[0].get_text()


def test_confusion_matrix_of_two_classes():
    figure = confusion_matrix(np.array([[999, 1], [0, 50]]), ["no", "yes"], "base, logistic regression\n% of the class")
    assert not texts_outside(figure)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["no (1,000)", "yes (50)"]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {(0, 0): "100", (1, 0): "<1", (1, 1): "100"}


def test_files_are_whole_and_the_same_every_time(tmp_path):
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        figure = confusion_matrix(np.eye(2), ["a", "b"])
        files = save_figure(figure, tmp_path / name / "matrix")
        assert [file.name for file in files] == ["matrix.png", "matrix.svg"]
        assert sorted(tmp_path.joinpath(name).iterdir()) == files
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]
    assert contents[0][0].startswith(b"\x89PNG") and b">Predicted class<" in contents[0][1]


def test_names_are_cut():
    assert shortened("a  b\nc", 9) == "a b c" and shortened("abcdefghij", 9) == "abcde ..."
