"""What a person wrote between the markers stays, and nothing of it is ever lost in silence."""

import pytest

from corpora.errors import InputError
from model_cards.card_facts import CardFacts
from model_cards.kept_regions import put_back, read_regions, region
from model_cards.render import write_card
from model_cards.statements import ModelStatement

EDITS = {
    "summary": "Made for the *stroke unit*.\n\n- one | two",
    "limits": "None {{ known }} \\1.",
    "ours": "## Ethics\n\nx",
}


def edited(card):
    for name in ("summary", "limits"):
        own = read_regions(card)[name]
        card = card.replace(region(name, own), region(name, EDITS[name]))
    # A region that the template does not know, in the middle of the card.
    return card.replace("\n## Data\n", f"\n{region('ours', EDITS['ours'])}\n\n## Data\n")


def test_edits_survive_twice(checkpoint):
    file = write_card(checkpoint)
    file.write_text(edited(file.read_text()))
    kept = {}
    for title in ("first", "second", "second"):
        kept[title] = write_card(checkpoint, CardFacts(model=ModelStatement(title=title))).read_text()
        regions = read_regions(kept[title])
        assert {name: regions[name] for name in EDITS} == EDITS
        assert f"\n# {title}\n" in kept[title]
    assert kept["second"] == kept["first"].replace("# first", "# second")
    # Regions that nobody edited are as in a new card; words outside of the markers are gone.
    assert "decisions about a patient without a clinician" in regions["intended_use"]
    file.write_text(kept["second"].replace("## Use", "## Use it well"))
    assert write_card(checkpoint).read_text() == kept["second"]


def test_an_emptied_region_stays_empty(checkpoint):
    file = write_card(checkpoint)
    own = read_regions(file.read_text())["intended_use"]
    file.write_text(file.read_text().replace(region("intended_use", own), region("intended_use", "")))
    assert read_regions(write_card(checkpoint).read_text())["intended_use"] == ""


def test_a_region_of_the_same_name_is_put_where_the_new_card_has_it():
    new = f"top\n{region('a', 'old')}\nmiddle\n{region('b', '')}\nend\n"
    assert put_back(new, {"b": "B", "a": "A"}) == f"top\n{region('a', 'A')}\nmiddle\n{region('b', 'B')}\nend\n"
    assert put_back("card\n", {"c": "C"}) == f"card\n\n{region('c', 'C')}\n"


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        ("x\n<!-- notespace:keep a -->\n<!-- notespace:keep b -->", "line 3: a region begins inside the region 'a'"),
        ("<!-- /notespace:keep -->", "line 1: a region ends that did not begin"),
        ("<!--notespace:keep a-->\nwords", "the region 'a' does not end"),
        (region("a", "") + "\n" + region("a", ""), "line 3: the region 'a' stands twice"),
    ],
)
def test_broken_markers_are_named(card, problem):
    with pytest.raises(InputError, match=problem):
        read_regions(card)


def test_a_card_of_another_hand_is_replaced_only_when_asked(checkpoint):
    (checkpoint / "README.md").write_text("# Mine\n")
    with pytest.raises(InputError, match="another hand"):
        write_card(checkpoint)
    assert "# adapted" in write_card(checkpoint, overwrite=True).read_text()
