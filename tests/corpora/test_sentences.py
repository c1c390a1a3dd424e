import itertools
import random
import unicodedata

import pytest

from corpora.demo import DemoOptions, generate_notes
from corpora.sentences import find_sentences, find_words


def _sentences(text, **options):
    return [text[start:end] for start, end in find_sentences(text, **options)[0]]


def _words(text, **options):
    return [text[start:end] for start, end in find_words(text, **options)[0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Took 2.5mg, twice.", "Took 2.5 mg , twice ."),
        ("BP 120/80; HbA1c 6.5%", "BP 120 / 80 ; HbA1c 6.5 %"),
        ("5,000 units x10 10x B12", "5,000 units x10 10 x B12"),
        ("Parkinson's beta-blocker", "Parkinson ' s beta - blocker"),
        ("[**2145-3-1**]", "[ * * 2145 - 3 - 1 * * ]"),
        ("na\u00efve e\u0301te\u0301 μg x² ½", "na\u00efve e\u0301te\u0301 μg x² ½"),
        ("a_b __", "a _ b _ _"),
        ("1. 2.", "1 . 2 ."),
        ("\ufeffso\u00adft\u200b \x07\U0001f48a", "so ft \U0001f48a"),
        ("血压 120", "血压 120"),
        (" \n\t", ""),
    ],
)
def test_words_of_clinical_text(text, words):
    assert _words(text) == words.split()


def test_words_of_a_stretch_have_the_offsets_of_the_text():
    assert find_words("one two three", 4, 9) == ([(4, 7), (8, 9)], 0)


def test_words_are_divided_where_an_entity_begins_or_ends():
    assert _words("q4h dosing", cuts=[1, 2, 3, 4, 10]) == ["q", "4", "h", "dosing"]
    assert find_words("q4h dosing", cuts=[1, 2, 6, 6])[1] == 2
    assert find_words("one two", cuts=[0, 3, 4, 7]) == ([(0, 3), (4, 7)], 0)


def test_words_hold_every_visible_character_once():
    rng = random.Random(4)
    alphabet = "aZé9.,-_' \n\t\r\u00a0\u0301\u200b\ufeff½²μ血\U0001f48a\x00"
    for _ in range(300):
        text = "".join(rng.choice(alphabet) for _ in range(60))
        found = find_words(text, cuts=rng.sample(range(61), 8))[0]
        covered = [place for start, end in found for place in range(start, end)]
        assert covered == sorted(set(covered))
        missing = {text[place] for place in set(range(60)) - set(covered)}
        assert all(one.isspace() or unicodedata.category(one) in ("Cc", "Cf") for one in missing)


@pytest.mark.parametrize(
    "sentences",
    [
        ["Seen by Dr. Smith today.", "He took 2.5 mg. of it."],
        ["Given 5 mg. PO daily, i.e. at night.", "Then p.o. Aspirin vs. Placebo."],
        ["A mass of 3 cm.", "The liver is normal."],
        ["Discussed with pt.", "Will follow up (see Fig. 3)."],
        ["Pain?", "No!", '"None."', "(Later.)", "[**Name**] agreed.", "2 days passed..."],
        ["Allergies: no. 3 of them.", "J. R. Doe of the U.S. Army."],
        ["temp. 37.5 today, no. of beds approx. 5 v. others", ],
        ["Éviter.", "Ça va."],
        ["cut off. and on"],
    ],
)  # fmt: skip
def test_sentences_of_clinical_text(sentences):
    assert _sentences(" ".join(sentences)) == sentences
    assert _sentences("  \r\n".join(sentences).replace(" of", "\nof")) == [
        one.replace(" of", "\nof") for one in sentences
    ]


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_lines_end_sentences_where_a_block_ends(line_break):
    text = line_break.join(
        [
            "MEDICATIONS:",
            "1. Aspirin 81 mg",
            "2) Heparin",
            "- rest in",
            "  bed",
            "",
            "wrapped line",
            "goes on",
            "Plan: go",
        ]
    )
    blocks = ["MEDICATIONS:", "1. Aspirin 81 mg", "2) Heparin", "- rest in| bed", "wrapped line|goes on", "Plan: go"]
    assert _sentences(text) == [one.replace("| ", line_break + "  ").replace("|", line_break) for one in blocks]
    lines = "MEDICATIONS:/1. Aspirin 81 mg/2) Heparin/- rest in/bed/wrapped line/goes on/Plan: go"
    assert _sentences(text, split_lines=True) == lines.split("/")


def test_an_entity_is_never_cut():
    text = "Seen. For Mr. X.\n\nY. Z now."
    assert _sentences(text) == ["Seen.", "For Mr. X.", "Y. Z now."]
    found, passed = find_sentences(text, [(10, 20)])
    assert [text[start:end] for start, end in found] == ["Seen.", "For Mr. X.\n\nY. Z now."] and passed == 1
    # Entities that end at a boundary, or begin at one, hide nothing.
    assert find_sentences(text, [(0, 5), (6, 16), (18, 27)]) == (find_sentences(text)[0], 0)


def test_empty_text_and_white_space_have_no_sentence():
    assert find_sentences("") == find_sentences(" \n\n \t") == ([], 0)


def test_long_runs_take_no_long_time():
    # Each would take minutes if the time grew with the square of the length.
    for text in ("." * 50_000, "\n" * 50_000, "\f" * 50_000, " " * 50_000 + ".", "a. " * 60_000, "1" * 50_000):
        find_sentences(text)
        find_words(text)


def test_a_very_long_sentence_stays_whole():
    text = "word " * 10_000
    assert _sentences(text) == [text.strip()]
    assert len(find_words(text)[0]) == 10_000


def test_sentences_of_generated_notes_hold_all_words_and_cut_no_entity():
    for note in generate_notes(DemoOptions(patients=15, seed=3)):
        text, places = note["text"], [(one["start"], one["end"]) for one in note["entities"]]
        for split_lines in (False, True):
            sentences, _ = find_sentences(text, places, split_lines)
            assert all(one[1] <= two[0] for one, two in itertools.pairwise(sentences))
            inside = [word for start, end in sentences for word in find_words(text, start, end)[0]]
            assert inside == find_words(text)[0]
            assert all(any(start <= one[0] and one[1] <= end for start, end in sentences) for one in places)
