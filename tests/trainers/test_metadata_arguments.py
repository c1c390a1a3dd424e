"""Arguments of the objectives that read metadata: what is refused, and what the rest means."""

import pytest

from trainers import DeclutrArguments, NoteCategoryArguments

BOTH = [NoteCategoryArguments, DeclutrArguments]


def make(kind, folder, **options):
    return kind(str(folder), use_cpu=True, **{"category_columns": ["note_category"], **options})


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"category_columns": ["a", "b", "a"]}, "category_columns names a column twice"),
        ({"category_columns": ["mlm"]}, "cannot be called mlm: that is the name of a loss"),
        ({"category_columns": ["a", "contrastive"]}, "cannot be called contrastive"),
        ({"category_columns": ["length"]}, "cannot be called length: a column of tokenised documents is"),
        ({"category_columns": ["a", "epoch"]}, "cannot be called epoch"),
        ({"category_columns": ["draw"]}, "cannot be called draw: a column of tokenised documents is"),
        (
            {"category_columns": ["ward_probe", "kind", "ward"]},
            "cannot be called ward_probe beside one without _probe: logs clash",
        ),
        ({"category_column_weights": [1.0, 2.0]}, "has 2 numbers for 1 columns"),
        ({"category_columns": ["a", "b"], "category_column_weights": 1.0}, "has 1 numbers for 2 columns"),
        ({"category_weight": -0.1}, "category_weight must not be negative, got -0.1"),
        ({"category_column_weights": [0.0]}, r"category_column_weights must be positive, got \[0.0\]"),
        (
            {"category_columns": ["a", "b"], "category_column_weights": [2.0, -1.0]},
            r"category_column_weights must be positive, got \[2.0, -1.0\]",
        ),
        ({"category_loss": "supcom"}, "category_loss must be one of cross_entropy, supcon, got 'supcom'"),
        ({"category_view": "anchors"}, "category_view must be one of masked, clean"),
        ({"category_head": "MLP"}, "category_head must be one of linear, mlp"),
        ({"category_balance": "balanced"}, "category_balance must be one of none, inverse, effective, sampling"),
        ({"supcon_temperature": 0.0}, "supcon_temperature must be positive, got 0.0"),
        ({"supcon_temperature": -0.1}, "supcon_temperature must be positive"),
        ({"category_loss": "supcon", "supcon_projection_size": -1}, "must not be negative, got -1"),
        ({"supcon_projection_size": 8}, "supcon_projection_size belongs to category_loss supcon"),
        ({"category_head_dropout": 1.0}, r"category_head_dropout must lie in \[0, 1\), got 1.0"),
        ({"category_head_dropout": -0.1}, "category_head_dropout must lie"),
        ({"effective_number_beta": 1.0}, r"effective_number_beta must lie in \[0, 1\), got 1.0"),
        ({"effective_number_beta": -0.5}, "effective_number_beta must lie"),
        ({"sampling_temperature": 0.5}, "sampling_temperature must be at least 1, got 0.5"),
        ({"category_loss": "supcon", "category_balance": "inverse"}, "category_balance inverse weights a cross-entr"),
        ({"category_loss": "supcon", "category_balance": "effective"}, "with supcon take sampling"),
        (
            {"category_weight": 0.0, "category_balance": "inverse"},
            "category_balance inverse weights a loss that category_weight 0 leaves out",
        ),
        (
            {"category_weight": 0, "category_balance": "effective"},
            "category_balance effective weights a loss that category_weight 0 leaves out",
        ),
        ({"max_categories": 1}, "max_categories must be at least 2, got 1"),
        ({"mlm_probability": 1.5}, "probability must lie between 0 and 1"),
    ],
)
def test_values_out_of_range_are_refused(tmp_path, kind, options, problem):
    with pytest.raises(ValueError, match=problem):
        make(kind, tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"category_columns": []}, "needs category_columns, and a category_weight above 0"),
        ({"category_columns": None}, "needs category_columns, and a category_weight above 0"),
        ({"category_weight": 0.0}, "needs category_columns, and a category_weight above 0"),
        ({"category_columns": [], "category_balance": "sampling"}, "category_balance needs category_columns"),
        ({"mlm_weight": -1.0}, "mlm_weight must not be negative"),
        ({"max_length": 7}, "max_length must be at least 8, got 7"),
        ({"document_window": "last"}, "document_window must be one of random, first, got 'last'"),
    ],
)
def test_what_the_note_category_objective_refuses(tmp_path, options, problem):
    with pytest.raises(ValueError, match=problem):
        make(NoteCategoryArguments, tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"category_columns": [], "same_category": "ignore"}, "same_category and one_category_batches need"),
        ({"category_columns": [], "same_category": "positive"}, "need category_columns"),
        ({"category_columns": [], "one_category_batches": True}, "need category_columns"),
        ({"category_columns": [], "category_balance": "inverse"}, "category_balance needs category_columns"),
        ({"same_category": "hard_negative"}, "same_category must be one of negative, ignore, positive"),
        ({"same_document": "negative"}, "same_document must be one of hard_negative, ignore, positive"),
    ],
)
def test_what_declutr_refuses(tmp_path, options, problem):
    with pytest.raises(ValueError, match=problem):
        make(DeclutrArguments, tmp_path, **options)


@pytest.mark.parametrize("kind", BOTH)
def test_bounds_themselves_are_allowed(tmp_path, kind):
    make(kind, tmp_path, category_head_dropout=0.0, effective_number_beta=0.0, sampling_temperature=1, max_categories=2)
    make(kind, tmp_path, category_loss="supcon", category_balance="sampling", supcon_projection_size=4)
    make(kind, tmp_path, category_columns=["ward_probe", "kind"])  # without a column `ward` no names clash
    make(kind, tmp_path, category_columns=["a", "b"], category_column_weights=[1e-9, 1e9])


def test_the_defaults_are_the_study_s(tmp_path):
    args = NoteCategoryArguments(str(tmp_path), use_cpu=True)
    assert args.category_columns == ["note_category"] and args.trains_categories
    assert (args.category_weight, args.mlm_weight) == (0.1, 1.0)
    assert (args.category_loss, args.category_view, args.category_head) == ("cross_entropy", "masked", "linear")
    assert not DeclutrArguments(str(tmp_path), use_cpu=True).trains_categories


def test_weights_of_the_columns(tmp_path):
    columns = {"category_columns": ["a", "b"], "category_weight": 0.5}
    args = make(NoteCategoryArguments, tmp_path, **columns)
    assert args.column_weights() == [0.5, 0.5]
    args = make(NoteCategoryArguments, tmp_path, **columns, category_column_weights=[2, 0.1])
    assert args.column_weights() == pytest.approx([1.0, 0.05])


def test_a_single_name_or_number_is_a_list_of_one(tmp_path):
    args = make(NoteCategoryArguments, tmp_path, category_columns="ward", category_column_weights=3)
    assert args.category_columns == ["ward"] and args.column_weights() == pytest.approx([0.3])


def test_none_is_an_empty_list(tmp_path):
    args = make(DeclutrArguments, tmp_path, category_columns=None, category_column_weights=None)
    assert args.category_columns == args.category_column_weights == [] and not args.trains_categories
    args = make(NoteCategoryArguments, tmp_path, category_column_weights=None)
    assert args.column_weights() == pytest.approx([0.1])


def test_without_a_weight_declutr_still_knows_the_categories(tmp_path):
    args = make(DeclutrArguments, tmp_path, category_weight=0.0, same_category="ignore")
    assert args.category_columns and not args.trains_categories
    args = make(DeclutrArguments, tmp_path, category_weight=0.0, category_balance="sampling")  # draws, weights nothing
    assert args.category_columns and not args.trains_categories
