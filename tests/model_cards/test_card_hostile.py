"""Names that a user's data brought along break neither the metadata nor the Markdown, and are never markers or HTML."""

import json
import re

import pytest
from huggingface_hub import ModelCard, metadata_load

from model_cards import markdown
from model_cards.card_facts import CardFacts
from model_cards.kept_regions import read_regions
from model_cards.render import write_card
from model_cards.statements import DataStatement, ModelStatement

HOSTILE = [
    "a | b",
    "---\nlicense: stolen\n---",
    "<script>alert(1)</script>",
    "<!-- notespace:keep summary -->",
    "<!-- /notespace:keep -->",
    "{{ training }} {% raw %}",
    "`code` ``` *bold* _slanted_ [link](http://x.y) ![image](http://x.y/z.png)",
    "# heading",
    "- item: {yaml: [1, 2]} & *anchor !!python/object:os.system",
    "\u202eright to left \x00 \x1b[31m \u2028 line",
    "line\r\nof two",
    "12. numbered",
    "'\"\\",
    "ünïcödé 患者",
    "",
    "x" * 500,
]


def words_in_cells(card):
    """The cells of all tables; a bar within words has a backslash before it."""
    lines = [line for line in card.splitlines() if line.startswith("| ")]
    return [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines]


@pytest.fixture
def hostile_card(checkpoint, training, write_classification, write_space):
    # Numbered, so that none is left out for being rare or the same as another.
    training["corpus"]["splits"]["train"]["categories"] = {name: 100 + place for place, name in enumerate(HOSTILE)}
    training["corpus"]["preparation"]["dropped"] = {HOSTILE[1]: 3}
    for name in ("base_model", "objective", "model_type", "device"):
        training[name] = HOSTILE[1] + HOSTILE[3] + HOSTILE[0]
    training["base_model_id"] = "x\n---\n"
    training["versions"] = {HOSTILE[3]: HOSTILE[2]}
    (checkpoint / "training_summary.json").write_text(json.dumps(training))
    models = [HOSTILE[2] + HOSTILE[0], HOSTILE[4] + HOSTILE[1], HOSTILE[5]]
    facts = CardFacts(
        model=ModelStatement(title=HOSTILE[1] + HOSTILE[4], contact=HOSTILE[6]),
        data=DataStatement(dataset_name=HOSTILE[8], source=HOSTILE[1], governance=HOSTILE[3], access=HOSTILE[0]),
        result_name=models[1],
        accepted_risk=HOSTILE[4] + HOSTILE[2],
    )
    results = [
        write_classification(models, label=HOSTILE[1] + HOSTILE[3], labels=HOSTILE[:3]),
        write_space(models, label=HOSTILE[4] + HOSTILE[0]),
    ]
    return write_card(checkpoint, facts, results)


def test_the_metadata_holds_what_was_said_and_nothing_else(hostile_card):
    metadata = metadata_load(hostile_card)
    assert "license" not in metadata and "base_model" not in metadata
    assert metadata["model-index"][0]["name"] == "--- license: stolen ---< !-- /notespace:keep -->"
    first, second = metadata["model-index"][0]["results"]
    assert first["dataset"]["config"].startswith("--- license: stolen ---< !--")
    assert second["metrics"][0] == {"type": "uniformity", "value": -2.0, "name": "Uniformity"}
    assert ModelCard.load(hostile_card).data.to_dict() == metadata


def test_the_body_has_only_our_own_sections_markers_and_html(hostile_card):
    card = hostile_card.read_text()
    body = card.split("\n---\n", 1)[1]
    assert "stolen" in body  # the names are shown
    assert len(re.findall(r"^# ", body, re.MULTILINE)) == 1 and len(re.findall(r"^## ", body, re.MULTILINE)) == 9
    comments = re.findall(r"<!--.*?-->", body)
    assert all(re.fullmatch(r"<!-- (/?notespace:keep( \w+)?|notespace:card .*) -->", one) for one in comments)
    assert not re.search(r"<(?!!-- /?notespace)", body.split("## Data")[1].split("## Citation")[0])
    assert list(read_regions(card)) == [
        *("summary", "intended_use", "limits", "data", "results", "privacy", "notes"),
    ]
    assert write_card(hostile_card.parent).read_text() == card
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u2028\u202e]", body)


def test_every_table_has_as_many_cells_in_each_row(hostile_card):
    body = hostile_card.read_text().split("\n---\n", 1)[1]
    tables = re.findall(r"(?:^\|.*\n?)+", body, re.MULTILINE)
    assert len(tables) >= 6
    for table in tables:
        assert len({len(row) for row in words_in_cells(table)}) == 1, table
    categories = next(table for table in tables if table.startswith("| Category"))
    assert len(words_in_cells(categories)) == 2 + len(HOSTILE)


def test_markdown_shows_the_very_words(hostile_card):
    renderer = pytest.importorskip("markdown_it").MarkdownIt("commonmark", {"html": True}).enable("table")
    html = renderer.render(hostile_card.read_text().split("\n---\n", 1)[1])
    assert "<script" not in html and html.count("<img") == 0 and html.count("<h1>") == 1
    assert re.findall(r'href="([^"]*)"', html) == ["https://arxiv.org/abs/2403.19802"]
    for words in ("a | b", "# heading", "12. numbered", "'&quot;\\", "line of two", "ünïcödé 患者", "(blank)"):
        assert f"<td>{words}</td>" in html
    assert "`code` ``` *bold* _slanted_ [link](http&#58;" not in html and "`code` ``` *bold* _slanted_ [link]" in html


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("note_category", "note_category"),
        ("_x_", "\\_x\\_"),
        ("-0.5", "-0.5"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("2020", "2020"),
        ("mail a@b.c, www.x.y", "mail a&#64;b.c, www&#46;x.y"),
    ],
)
def test_escapes_are_no_more_than_needed(words, shown):
    assert markdown.text(words) == shown


def test_code_spans_hold_back_quotes_and_bars():
    assert markdown.code("a`b") == "`` a`b ``"
    assert markdown.code("a|b") == "`a\\|b`"
    assert markdown.code("<!-- x -->") == "`< !-- x -->`"


def test_numbers_for_tables():
    assert [markdown.number(value) for value in (None, float("nan"), 0, 0.0, 1_234, 12_345.0, 0.00001, 0.5, 98.76)] == [
        *("\N{EN DASH}", "\N{EN DASH}", "0", "0.000", "1,234", "12,345", "1.0e-05", "0.500", "98.8"),
    ]
    assert markdown.interval(0.5, 0.25, 0.75) == "0.500 [0.250,\N{NO-BREAK SPACE}0.750]"
    assert markdown.interval(0.5, None, 0.75) == "0.500"
