"""The rules that find identifiers, on made-up sentences."""

import pytest

from corpora.halves import cut_into_halves
from corpora.identifiers import find_identifiers


def found(text):
    return [(kind, text[places[0][0] : places[0][1]]) for kind, places in find_identifiers(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seen 3/4/2019 and 2019-04-03, again 03.04.19.", [("date", "3/4/2019"), ("date", "2019-04-03"),
                                                          ("date", "03.04.19")]),
        ("on 12th March 2020, Apr. 5, 2021", [("date", "12th March 2020"), ("date", "Apr. 5, 2021")]),
        ("MRN 0048213 tel (555) 010-4477", [("number", "0048213"), ("number", "(555) 010-4477")]),
        ("Mr. Tavo Relmi saw Dr Basil. Name: Emil", [("name", "Tavo Relmi"), ("name", "Basil"), ("name", "Emil")]),
        ("patient: Doruk fell", [("name", "Doruk")]),
        ("BP 120/80, 5 mg, HR 88, 1.5 l, 12:30, T2, L4-5, dr. house", []),
    ],
)  # fmt: skip
def test_rules(text, expected):
    assert found(text) == expected


def test_an_identifier_is_listed_once_with_all_its_places():
    text = "Mr Relmi, 48213. Relmi again; Relmiton no; 48213, 482130."
    name, number, longer = find_identifiers(text)
    assert [text[a:b] for a, b in name.places] == ["Relmi", "Relmi"]
    assert [text[a:b] for a, b in number.places] == ["48213", "48213"] and len(longer.places) == 1


def test_halves():
    assert cut_into_halves("a b c d e", 2) == ("a b ", "c d e")
    assert cut_into_halves("a b c", 2) is None and cut_into_halves("", 1) is None
