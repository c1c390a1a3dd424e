"""Names of systems, and systems by their names."""

import pytest

from corpora.errors import InputError
from reporting.classification_results import System
from reporting.system_names import find_system, shared_reading, system_names

TFIDF, MAJORITY = System("tfidf", "tfidf"), System(None, "majority")
PROBE = System("base", "logistic_regression", "windows", "all")
TUNED = System("base", "fine_tuned", "windows", "none")
PARTLY = System("base", "fine_tuned", "windows", "1")


def test_names_leave_out_what_goes_without_saying():
    names = system_names([PROBE, TUNED, PARTLY, TFIDF, MAJORITY])
    assert list(names.values()) == [
        "base, logistic regression",
        "base, fine-tuned",
        "base, fine-tuned, 1 layer frozen",
        "TF-IDF",
        "majority class",
    ]
    assert shared_reading(list(names)) == "windows"


def test_names_say_what_differs():
    head = System("base", "logistic_regression", "head_tail", "all")
    assert list(system_names([PROBE, head, TFIDF]).values()) == [
        "base, logistic regression, windows",
        "base, logistic regression, head and tail",
        "TF-IDF",
    ]
    assert shared_reading([PROBE, head]) is None and shared_reading([TFIDF], 48) is None
    assert shared_reading([head, TFIDF], 512) == "512 tokens of head and tail"
    assert shared_reading([PROBE], 256) == "windows of 256 tokens"
    lora = [System("base", "lora", "windows", frozen) for frozen in ("all", "none", "embeddings", "12")]
    names = list(system_names(lora).values())
    assert names[0] == "base, LoRA, windows, frozen" and names[1] == "base, LoRA, windows, nothing frozen"
    assert names[2:] == ["base, LoRA, embeddings frozen", "base, LoRA, 12 layers frozen"]
    few = [System("base", method, "windows", "none") for method in ("lora", "dora", "ia3", "ln_tuning")]
    assert list(system_names(few).values()) == ["base, LoRA", "base, DoRA", "base, IA3", "base, layer-norm tuning"]
    assert list(system_names([System("a", "prefix_tuning"), System(None, "knn")]).values()) == [
        "a, prefix tuning",
        "k-nearest neighbours",
    ]


def test_names_are_never_the_same():
    twins = [System("a", "tfidf"), System("b", "tfidf"), System("x, LoRA", "mlp"), System("x", "lora", None, None)]
    twins += [System("m", "knn", "head", "all"), System("m", "knn", None, "all"), System("m", "knn", "windows", "all")]
    twins += [System("q, MLP head", "knn"), System("q", "mlp"), System("q", "mlp", None, "all")]
    names = system_names(twins)
    assert len(set(names.values())) == len(twins)
    assert names[twins[0]] == "a, TF-IDF"
    odd = [System("a, head", "knn", None, "none"), System("a", "knn", None, "x"), System("a", "knn", None, "none")]
    assert len(set(system_names(odd).values())) == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("base logistic_regression", PROBE),
        ("logistic_regression", PROBE),
        ("base, logistic regression", PROBE),
        ("base, fine-tuned", TUNED),
        ("fine_tuned,1", PARTLY),
        ("none", TUNED),
        ("tfidf", TFIDF),
        ("TF-IDF", TFIDF),
        ("majority", MAJORITY),
    ],
)
def test_systems_are_found_by_words(words, expected):
    assert find_system([PROBE, TUNED, PARTLY, TFIDF, MAJORITY], words) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "fine_tuned",
            "several systems are called 'fine_tuned'; name one of: base fine_tuned windows none; base fine_",
        ),
        (
            "adapted",
            "no system is called 'adapted'; name one of: base logistic_regression windows all; base fine_tuned",
        ),
        ("base tfidf", "no system is called"),
        ("", "no system is called"),
    ],
)
def test_words_for_no_or_several_systems(words, message):
    with pytest.raises(InputError, match=message):
        find_system([PROBE, TUNED, PARTLY, TFIDF, MAJORITY], words)
