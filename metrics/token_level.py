"""Token-level scores, the figure that Belkadi et al. (2022, arXiv 2210.12770) report as span-level.

Their scores come from scikit-learn over the flat list of labels, one for each sub-word, with `O` as a class like any
other. That is not a score of entities: most tokens are `O`, which lifts accuracy and weighted averages above 0.95; an
entity with one wrong word out of five counts as four fifths right; and `B-x` and `I-x` are classes of their own, so
that the macro average rests on tags and not on types. It is computed here under its own name, for comparison with that
paper alone. `metrics.entity_scores` has the scores of entities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

AVERAGES = ("macro", "weighted")


def token_level_scores(gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]) -> dict[str, float]:
    """Score tags one by one, `O` included, as scikit-learn does with `zero_division=0`.

    Args:
        gold: Tags of each sentence, of words or of sub-words; the paper's are of sub-words, where long words weigh
            more.
        predicted: Tags of the same sentences, as many for each.

    Returns:
        `token_level_accuracy`, and `token_level_precision_macro`, `..._recall_macro`, `..._f1_macro` and the same with
        `weighted`, over the tags that occur in either; empty without tokens.

    Raises:
        ValueError: The sentences are not as many or as long.
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    true: list[int] = []
    said: list[int] = []
    numbers: dict[str, int] = {}  # scikit-learn takes many times longer over words
    for sentence, other in zip(gold, predicted, strict=True):
        if len(sentence) != len(other):
            raise ValueError(f"a sentence of {len(sentence)} tokens has {len(other)} predicted tags")
        true += [numbers.setdefault(tag, len(numbers)) for tag in sentence]
        said += [numbers.setdefault(tag, len(numbers)) for tag in other]
    if not true:
        return {}
    scores = {"token_level_accuracy": float(accuracy_score(true, said))}
    for average in AVERAGES:
        found = precision_recall_fscore_support(true, said, average=average, zero_division=0)
        for name, value in zip(("precision", "recall", "f1"), found, strict=False):
            scores[f"token_level_{name}_{average}"] = float(value)
    return scores
