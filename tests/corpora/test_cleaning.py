"""Cleaning: each step alone, its count, and that no word is ever rewritten."""

import dataclasses
import random
import re
import string

import pytest

from corpora.cleaning import STEPS, Cleaner, CleaningOptions, count_words
from corpora.errors import InputError

OFF = {"unicode_nfc": False, "control_characters": False, "deid_placeholders": "keep", "white_space": "keep"}


def only(**step):
    return Cleaner(CleaningOptions(**{**OFF, **step}))


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        ({"unicode_nfc": True}, "cafe\u0301", "café"),
        ({"control_characters": True}, "blood\x00 pressure\x07\ufeff", "blood pressure"),
        ({"control_characters": True}, "page one\x0cpage two\u2028line", "page one\npage two\nline"),
        (
            {"deid_placeholders": "token"},
            "Seen [**2101-3-4**] by Dr.[**Last Name (un) 12**]!",
            "Seen [DEID] by Dr.[DEID]!",
        ),
        ({"deid_placeholders": "token"}, "for[**Name**]was", "for [DEID] was"),
        ({"deid_placeholders": "token"}, "split [**Hospital\nName**] here", "split [DEID] here"),
        ({"deid_placeholders": "remove"}, "for[**Name**]was", "for was"),
        ({"deid_placeholders": "remove"}, "with [**Name**].", "with ."),
        ({"deid_placeholders": "token"}, "a [**1**][**2**] b ** [ ** ]", "a [DEID][DEID] b ** [ ** ]"),
        ({"white_space": "lines"}, "  a \t b \r\n\r\n\r\n\r\n c\u00a0d  \n", "a b\n\nc d"),
        ({"white_space": "collapse"}, "  a \t b \r\n\r\n c  \n", "a b c"),
    ],
)
def test_each_step_does_what_it_says_and_is_counted(step, before, after):
    assert only(**step).clean(before) == (after, list(step))


def test_steps_that_are_off_change_nothing():
    text = " cafe\u0301 \x00 [**x**]\r\n\r\n\r\n\r\n"
    assert only().clean(text) == (text, [])


def test_tabs_and_line_breaks_are_no_control_characters():
    assert only(control_characters=True).clean("tab\tand\r\nline") == ("tab\tand\r\nline", [])


def test_all_steps_count_once_each():
    text, changed = Cleaner().clean("cafe\u0301\x00  [**x**]")
    assert text == "café [DEID]"
    assert changed == list(STEPS)


def test_clean_text_is_left_alone_and_cleaning_twice_changes_nothing():
    generator = random.Random(0)
    pieces = [
        *string.ascii_letters,
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "\x0c",
        "\u200b",
        "\u00a0",
        "[**x**]",
        "e",
        "\u0301",
    ]
    for _ in range(300):
        once, _ = Cleaner().clean("".join(generator.choices(pieces, k=60)))
        assert Cleaner().clean(once) == (once, [])


def test_words_are_never_rewritten_by_substring():
    words = "symptoms asymptomatic ptosis dr drug mr mri now know hr threshold bp bpm ms arms 's xx xxx __ ___ [DEID"
    for order in (words.split(), sorted(words.split(), reverse=True)):
        assert Cleaner().clean(" ".join(order))[0] == " ".join(order)


def test_every_word_outside_placeholders_survives_in_order():
    generator = random.Random(1)
    for _ in range(200):
        words = ["".join(generator.choices(string.ascii_lowercase, k=generator.randint(1, 9))) for _ in range(30)]
        joined = "".join(word + generator.choice([" ", "  ", "\n", "[**n**]", " [**1-2**] "]) for word in words)
        for mode in ("token", "remove"):
            text, _ = Cleaner(CleaningOptions(deid_placeholders=mode)).clean(joined)
            assert re.findall("[a-z]+", text) == words


def test_minimum_length_is_inclusive():
    cleaner = Cleaner(CleaningOptions(min_words=3, min_characters=10))
    assert not cleaner.is_too_short("aaaa bbb c", 3)
    assert cleaner.is_too_short("aaaaaaaaa bbbbbbbbb", 2)
    assert cleaner.is_too_short("a b c", 3)
    assert count_words(" a\nb\tc ") == 3


@pytest.mark.parametrize("fault", [{"deid_pattern": "("}, {"deid_pattern": "x*"}, {"deid_token": " "}])
def test_faulty_options_are_refused(fault):
    with pytest.raises(InputError, match="--deid_"):
        CleaningOptions(**fault)


def test_every_option_explains_itself():
    assert all(field.metadata["help"] for field in dataclasses.fields(CleaningOptions))


def test_long_runs_of_spaces_take_linear_time():
    text, _ = Cleaner().clean("a" + " " * 1_000_000 + "b" + "\n" * 1_000_000 + "[**" * 10_000)
    assert text.startswith("a b\n\n[**")


def test_white_space_is_replaced_wherever_there_is_some_to_replace():
    """Texts with little of it take a short cut; all are compared with the replacements one after another."""
    generator = random.Random(0)
    pieces = [
        "a",
        "bc",
        " ",
        " ",
        "  ",
        "\n",
        "\n",
        "\n\n",
        "\n\n\n",
        "\t",
        "\r\n",
        "\r",
        "\u00a0",
        "\x0b",
        " \n",
        "\n ",
    ]
    cleaner = only(white_space="lines")
    changed = 0
    for _ in range(3000):
        text = "".join(generator.choices(pieces, k=generator.randint(1, 8)))
        expected = re.sub(r"[^\S\n]+", " ", text.replace("\r\n", "\n").replace("\r", "\n"))
        expected = "\n".join(line.strip(" ") for line in expected.split("\n"))
        expected = re.sub(r"\n{3,}", "\n\n", expected).strip("\n")
        assert cleaner.clean(text)[0] == expected, repr(text)
        changed += expected != text
    assert 1500 < changed < 3000
