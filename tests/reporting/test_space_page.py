"""The page on embedding spaces: that it holds what it should, asks for nothing, and that names stay text."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from reporting.space_page import inert_json, space_page, strips, write_space_page
from reporting.space_page_data import page_data, thinned
from reporting.space_results import load_space_results

HOSTILE = ("</script><img src=x onerror=alert(1)>", '"><svg onload=alert(2)>', "{{ 7 * 7 }}", "<!--", "a & b")


class Page(HTMLParser):
    """Tags with their attributes, text by place, scripts and styles apart."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.raw, self.inside = [], [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = (tag, dict(attributes).get("id")) if tag in ("script", "style") else None
        if self.inside:
            self.raw[self.inside] = ""

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.raw[self.inside] += data
        elif data.strip():
            self.texts.append(data.strip())

    @property
    def data(self):
        return json.loads(self.raw["script", "data"])

    @property
    def policy(self):
        content = next(
            found["content"] for _, found in self.tags if found.get("http-equiv") == "Content-Security-Policy"
        )
        return dict(part.strip().split(" ", 1) for part in content.split(";"))


@pytest.fixture(scope="module")
def typical(tmp_path_factory):
    """Results of three models, 20 categories and 1,200 documents, and their page."""
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("made_up", Path(__file__).with_name("conftest.py"))
    made_up = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made_up)
    results = load_space_results(made_up.write_space_results(tmp_path_factory.mktemp("typical") / "space"))
    text = space_page(results)
    return results, text, Page(text)


def test_the_page_holds_every_section_measure_and_model(typical):
    results, text, page = typical
    ids = {found.get("id") for _, found in page.tags}
    assert {"measures", "geometry", "graphs", "maps", "drawing", "categories", "cka", "about", "glossary"} <= ids
    charts = {found["data-chart"] for _, found in page.tags if "data-chart" in found}
    assert charts == {"histograms", "plane", "sweeps", "percolation", "maps", "drawing", "heat"}
    about = {found["data-about"] for _, found in page.tags if "data-about" in found}
    assert len(about) == len(results.models[0].measures)
    assert "\u22122.94" in page.texts and "0.090" in page.texts  # uniformity and silhouette of declutr
    assert "3f6c1b0d9e8a" in page.texts
    marks = [found["class"] for tag, found in page.tags if tag == "span" and found.get("class", "").startswith("mark ")]
    verdicts = [verdict for _, verdict in (mark.split(" ") for mark in marks)]
    assert verdicts.count("better") == 20 and verdicts.count("worse") == 2
    assert 100_000 < len(text.encode()) < 400_000


def test_the_page_asks_for_nothing(typical):
    _, text, page = typical
    assert page.policy["default-src"] == "'none'" and page.policy["img-src"] == "data:"
    assert page.policy["base-uri"] == page.policy["form-action"] == "'none'"
    digest = hashlib.sha256(page.raw["script", None].encode()).digest()
    assert page.policy["script-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"
    for _, found in page.tags:
        assert not {"src", "srcset", "action", "data", "poster", "background"} & found.keys()
        assert found.get("href", "#").startswith("#")
        assert not [name for name in found if name.startswith("on")]
    assert not {"link", "iframe", "object", "embed", "base", "form", "img"} & {tag for tag, _ in page.tags}
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", text)


def test_the_script_never_turns_text_into_markup(typical):
    script = typical[2].raw["script", None]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script)
    assert len(script) > 20_000


def test_the_values_for_the_script(typical):
    results, _, page = typical
    data = page.data
    assert data == json.loads(json.dumps(page_data(results)))
    assert [model["name"] for model in data["models"]] == ["base", "mlm", "declutr"] and data["reference"] == 0
    assert [model["colour"] for model in data["models"]] == [None, 0, 1]
    assert len(data["documents"]["ids"]) == 1_200 == len(data["shown"])
    number = data["documents"]["categories"][17]
    assert number == results.document_categories[17] and data["categories"][number]["count"] > 1
    flat = data["models"][2]["maps"]["pca"]
    assert len(flat) == 2_400 and min(flat) == 0 and max(flat) == 9_999
    points, placed = results.models[2].maps["pca"], np.array(flat).reshape(-1, 2)
    # The same shape: equal units on both axes, and a screen's y axis points down.
    assert np.corrcoef(points[:, 0], placed[:, 0])[0, 1] > 0.99999
    assert np.corrcoef(points[:, 1], placed[:, 1])[0, 1] < -0.99999
    assert np.ptp(points[:, 0]) / np.ptp(points[:, 1]) == pytest.approx(
        np.ptp(placed[:, 0]) / np.ptp(placed[:, 1]), rel=1e-3
    )
    drawing, original = data["models"][1]["drawing"], results.models[1].drawing
    named = [data["documents"]["ids"][place] for place in drawing["nodes"]]
    assert named == results.document_ids[original.documents].tolist()
    assert drawing["edges"] == original.edges.ravel().tolist()
    heat, order = np.array(data["models"][0]["heat"]), data["heatOrder"]
    np.testing.assert_allclose(heat, results.models[0].category_cosine[np.ix_(order, order)], atol=6e-4)
    assert len(data["models"][0]["percolation"]["share"]) <= 400


def test_hostile_names_stay_text(write_space):
    models = {"base": (0.5, 1.0), "<b onclick=alert(4)>x": (1.0, 0.5)}

    def change(content):
        content["settings"] = {"</style><script>alert(5)</script>": "</script><script>alert(6)</script>"}
        content["label_column"] = "<img src=x onerror=alert(7)>"

    text = space_page(load_space_results(write_space(documents=60, categories=HOSTILE, models=models, change=change)))
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 2 and tags.count("style") == 1 and "img" not in tags and tags.count("b") > 2
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    assert [category["name"] for category in page.data["categories"]] == list(HOSTILE)
    assert page.data["models"][1]["name"] == "<b onclick=alert(4)>x"
    assert "<img src=x onerror=alert(7)>" in page.texts and "</script><script>alert(6)</script>" in page.texts
    assert "49" not in {name for category in page.data["categories"] for name in category.values()}


def test_inert_json_reads_back():
    values = {"</script>": ["<!--", "]]>", "&lt;", "\u2028", "é", None, 0.5]}
    text = inert_json(values)
    assert json.loads(text) == values and not set("<>&\u2028") & set(text)
    with pytest.raises(ValueError):
        inert_json([float("nan")])


def test_a_page_without_categories_or_reference_has_only_what_there_is(write_space):
    results = load_space_results(write_space(documents=30, categories=(), models={"only": (0.4, 1.0)}))
    page = Page(space_page(results))
    charts = {found["data-chart"] for _, found in page.tags if "data-chart" in found}
    assert charts == {"sweeps", "percolation", "maps", "drawing"}
    assert page.data["reference"] is None and page.data["categories"] == []
    assert "Embedding space of 30 documents" in page.texts


def test_a_page_of_bare_results(write_space):
    def change(content):
        for model in content["models"]:
            model.update(sweeps={}, percolation=None, drawing=None, cosines=None, category_cosine=None, measures={})
        content["cka"] = None

    page = Page(space_page(load_space_results(write_space(documents=10, categories=("a", "b"), change=change))))
    assert {found["data-chart"] for _, found in page.tags if "data-chart" in found} == {"maps"}


def test_many_documents_are_sampled_and_the_page_says_so(write_space, monkeypatch):
    import reporting.space_page as page_module
    import reporting.space_page_data as data_module

    monkeypatch.setattr(data_module, "MAP_POINTS", 50)
    monkeypatch.setattr(page_module, "MAP_POINTS", 50)
    monkeypatch.setattr(data_module, "DRAWING_NODES", 20)
    results = load_space_results(write_space(documents=200, categories=("a", "b", "c")))
    text = space_page(results)
    data = Page(text).data
    assert len(data["shown"]) == 50 and len(data["documents"]["ids"]) <= 50 + 3 * 20
    for model in data["models"]:
        assert len(model["maps"]["tsne"]) == 100 and len(model["drawing"]["nodes"]) == 20
        assert max(model["drawing"]["edges"], default=0) < 20
    assert "A random sample of 50 of the 200 documents." in text


def test_long_names_are_cut(write_space):
    results = load_space_results(write_space(documents=20, categories=("long " * 100, "b")))
    name = Page(space_page(results)).data["categories"][0]["name"]
    assert len(name) == 120 and name.endswith("…")


def test_strips_share_an_axis(typical):
    results = typical[0]
    values = [model.measures["uniformity"] for model in results.models]
    placed = strips(values)
    assert placed[2].low == 4 and placed[0].high == 96
    assert placed[2].value < placed[1].value < placed[0].value
    assert strips([None, values[0]])[0].value is None


def test_a_thinned_curve_keeps_its_fall():
    x = np.linspace(0, 1, 20_000)
    y = (x < 0.61803).astype(float)
    places = thinned(x, y, 100)
    assert len(places) <= 100 and {0, 19_999} <= set(places.tolist())
    fall = np.flatnonzero(np.diff(y[places]))
    assert len(fall) == 1 and x[places][fall[0]] > 0.6 and x[places][fall[0] + 1] == pytest.approx(0.61803, abs=1e-4)
    assert thinned(x[:50][::-1], y[:50]).tolist() == list(range(49, -1, -1))


def test_writing_leaves_one_whole_file(typical, tmp_path):
    file = write_space_page(typical[0], tmp_path / "page.html")
    assert [found.name for found in tmp_path.iterdir()] == ["page.html"]
    assert file.read_text(encoding="utf-8") == typical[1]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_a_browser_draws_it_and_runs_nothing_else(write_space, tmp_path):
    results = load_space_results(write_space(documents=60, categories=HOSTILE))
    file = write_space_page(results, tmp_path / "page.html")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    found = subprocess.run([*command, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120)
    page = Page(found.stdout)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("canvas") == 6 and "img" not in tags  # three maps, three drawings
    assert len([1 for tag, found in page.tags if tag == "path" and found.get("class") == "curve"]) >= 6
    assert HOSTILE[0] in page.texts  # in the legend, as text
