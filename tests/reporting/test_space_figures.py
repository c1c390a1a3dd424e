"""Figures of embedding spaces: what is drawn, that nothing is cut off, and the files."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.text import Text

from reporting.figure_style import COLOURS, figure_style, save_figure
from reporting.space_curves import percolation_curves, sweep_curves
from reporting.space_figures import (
    category_heat_maps,
    cka_heat_map,
    cosine_histograms,
    uniformity_alignment,
    write_space_figures,
)
from reporting.space_maps import graph_drawings, maps
from reporting.space_page_data import model_looks
from reporting.space_results import load_space_results
from reporting.space_style import REFERENCE_COLOUR, model_line_looks, panel_grid, scatter_look

NAMES = ("Obstetrics and Gynaecology", "Cardiology", "Costs $5 or $6")


@pytest.fixture
def results(write_space):
    return load_space_results(write_space(documents=80, categories=NAMES))


def laid_out(figure):
    with figure_style():
        figure.get_layout_engine().execute(figure)
    return figure


def cut_off(figure, *words):
    """Those of the words that are not drawn within the figure."""
    figure.draw_without_rendering()
    box = figure.bbox.padded(1)
    extents = [(text.get_text(), text.get_window_extent()) for text in figure.findobj(Text) if text.get_visible()]
    within = {text for text, extent in extents if box.contains(*extent.min) and box.contains(*extent.max)}
    return [word for word in words if word not in within]


def test_cosine_histograms_have_equal_areas_on_one_axis(results):
    figure = laid_out(cosine_histograms(results))
    assert len(figure.axes) == 3 and len({axes.get_xlim() for axes in figure.axes}) == 1
    for axes, model in zip(figure.axes, results.models, strict=True):
        within, between = (patch.get_data() for patch in axes.patches)
        widths = np.diff(model.cosines.edges)
        assert (within.values * widths).sum() == pytest.approx(1) == pytest.approx((between.values * widths).sum())
        marked = [float(line.get_xdata()[0]) for line in axes.lines]
        assert marked[0] == pytest.approx(model.measures["cosine_within"].value, abs=0.005)
        assert marked[1] == pytest.approx(model.measures["cosine_between"].value, abs=0.005)
        assert model.name in axes.texts[0].get_text() and "effect size" in axes.texts[0].get_text()
    assert not cut_off(figure, "Cosine of two documents", "between categories (mean: bar)")


def test_the_plane_has_points_intervals_and_names(results):
    figure = laid_out(uniformity_alignment(results))
    (axes,) = figure.axes
    assert len(axes.containers) == 3
    for container, model in zip(axes.containers, results.models, strict=True):
        assert container.lines[0].get_xdata()[0] == model.measures["uniformity"].value
        assert container.lines[0].get_ydata()[0] == model.measures["category_alignment"].value
        (bar,) = container.lines[2][0].get_segments()
        assert bar[:, 0] == pytest.approx([model.measures["uniformity"].low, model.measures["uniformity"].high])
    assert not cut_off(figure, "base", "mlm", "declutr", "Uniformity (lower: more even)")


def test_heat_maps_share_order_names_and_scale(results):
    figure = laid_out(category_heat_maps(results))
    pictures = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(pictures) == 3 and len({picture.get_clim() for picture in pictures}) == 1
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    order = [NAMES.index(name) for name in names]
    for picture, model in zip(pictures, results.models, strict=True):
        np.testing.assert_array_equal(picture.get_array(), model.category_cosine[np.ix_(order, order)])
    assert not cut_off(figure, *NAMES, "Mean cosine", "declutr")


def test_the_cka_map_has_its_numbers(results):
    figure = laid_out(cka_heat_map(results))
    assert [text.get_text() for text in figure.axes[0].texts] == "1.00 0.72 0.52 0.72 1.00 0.72 0.52 0.72 1.00".split()
    assert not cut_off(figure, "base", "mlm", "declutr", "Linear CKA")


def test_sweeps_have_a_panel_a_measure_and_gaps_where_undefined(results):
    figure = laid_out(sweep_curves(results, "threshold"))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:2] == ["Density", "Components"] and len(titles) == 7
    axes = figure.axes[titles.index("Clustering coefficient")]
    assert [len(line.get_xdata()) for line in axes.lines] == [18, 18, 18]
    assert np.isnan(axes.lines[2].get_ydata()[0]) and np.isfinite(axes.lines[2].get_ydata()[-1])
    assert axes.get_xscale() == "linear" and sweep_curves(results, "density").axes[0].get_xscale() == "log"
    assert not cut_off(figure, "base", "mlm", "declutr", "Cosine threshold")


def test_percolation_curves_bear_their_thresholds(results):
    figure = laid_out(percolation_curves(results))
    (axes,) = figure.axes
    for line, model in zip(axes.lines[1::2], results.models, strict=True):
        assert line.get_xdata()[0] == model.percolation.threshold and line.get_ydata()[0] == 0.5
        assert line.get_label() == f"{model.name}, {model.percolation.threshold:.2f}"
    low, high = axes.get_xlim()
    assert low > -0.2 and high < 1  # the part on which something happens


def test_maps_draw_every_document_with_the_look_of_its_category(results):
    results.models[1].maps["tsne"][:30] = np.nan
    figure = laid_out(maps(results, "tsne"))
    drawn = [sum(len(part.get_offsets()) for part in axes.collections) for axes in figure.axes]
    assert drawn == [80, 50, 80]
    box = figure.axes[0]
    assert np.ptp(box.get_xlim()) == pytest.approx(np.ptp(box.get_ylim()))
    assert not cut_off(figure, *NAMES, "base", "mlm", "declutr")
    assert len(maps(results, "pca", limit=20).axes[0].collections) <= 4


def test_graph_drawings_have_their_edges(results):
    figure = graph_drawings(results)
    for axes, model in zip(figure.axes, results.models, strict=True):
        (lines,) = [part for part in axes.collections if isinstance(part, LineCollection)]
        assert len(lines.get_segments()) == len(model.drawing.edges)
        first = model.drawing.edges[0]
        np.testing.assert_allclose(
            lines.get_segments()[0], np.stack([model.drawing.x[first], model.drawing.y[first]], 1)
        )


def test_models_look_alike_on_the_page_and_in_figures(write_space):
    eight = load_space_results(
        write_space(documents=20, models={f"m{n}": (0.5, 1.0) for n in range(8)}, categories=NAMES)
    )
    looks, lines = model_looks(eight), model_line_looks(eight)
    assert looks[0] == {"colour": None, "round": 0} and to_hex(lines[0]["color"]) == REFERENCE_COLOUR
    assert [line["color"] for line in lines[1:7]] == [COLOURS[look["colour"]] for look in looks[1:7]]
    assert len({(line["color"], str(line["linestyle"])) for line in lines}) == 8
    assert lines[7]["color"] == lines[1]["color"]


def test_grids_and_scatter_looks():
    assert [panel_grid(count) for count in (1, 2, 3, 4, 5, 8)] == [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3)]
    from reporting.category_looks import CategoryLook

    assert scatter_look(CategoryLook(1, "square")) == {"marker": "s", "edgecolors": COLOURS[1], "facecolors": "none"}
    assert scatter_look(CategoryLook(None, "disc"))["facecolors"] == "#A6A6A6"


def test_all_figures_are_written_or_none(write_space, tmp_path, monkeypatch):
    def change(content):
        for model in content["models"]:
            model.update(sweeps={}, drawing=None, percolation=None, cosines=None, category_cosine=None)

    small = load_space_results(
        write_space(documents=20, categories=NAMES, models={"base": (0.5, 1.0), "mlm": (1.0, 0.5)}, change=change)
    )
    folder = tmp_path / "figures"
    (folder).mkdir()
    (folder / "notes.txt").write_text("mine")
    written = write_space_figures(small, folder)
    names = ("cka", "map_pca", "map_tsne", "uniformity_category_alignment")
    assert [file.name for file in written] == [f"{name}.{suffix}" for name in names for suffix in ("png", "svg")]
    assert {file.name for file in folder.iterdir()} == {"notes.txt", *(file.name for file in written)}
    assert not (tmp_path / "figures.partial").exists()

    def fail(*_):
        raise RuntimeError("full disk")

    monkeypatch.setattr("reporting.space_figures.cka_heat_map", fail)
    with pytest.raises(RuntimeError):
        write_space_figures(small, tmp_path / "other")
    assert not (tmp_path / "other").exists() and not (tmp_path / "other.partial").exists()


def test_the_same_results_give_the_same_bytes(results, tmp_path):
    first, second = (save_figure(cka_heat_map(results), tmp_path / name) for name in ("first", "second"))
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
