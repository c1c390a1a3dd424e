"""Category heads: what they compute, and that a folder gives them back."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from corpora.category_columns import CategoryColumn
from corpora.errors import InputError
from modeling.category_heads import CategoryHeadOptions, CategoryHeads

KIND = CategoryColumn('note.kind, "main"', ("Echo", 'Consult, "urgent"', "Übergabe"), (5, 3, 2))
TAGS = CategoryColumn("tags", ("renal", "skin"), (4, 6), multi_label=True)
WARD = CategoryColumn("ward", ("9", "10"), (1, 1))
COLUMNS = (KIND, TAGS, WARD)


def heads(columns=COLUMNS, **options):
    torch.manual_seed(0)
    return CategoryHeads(columns, CategoryHeadOptions(6, **options))


@pytest.fixture
def embeddings():
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(1))


def linear(layer, values):
    return values @ layer.weight.T + layer.bias


def test_the_linear_head_is_a_matrix_and_a_bias(embeddings):
    made = heads()
    for index, column in enumerate(COLUMNS):
        logits = made.logits(index, embeddings)
        assert logits.shape == (4, len(column.labels))
        torch.testing.assert_close(logits, linear(made.heads[index][-1], embeddings))
    assert sum(parameter.numel() for parameter in made.parameters()) == (6 + 1) * (3 + 2 + 2)


def test_the_mlp_head_has_one_hidden_layer(embeddings):
    made = heads(head="mlp")
    for index in range(3):
        first, last = (layer for layer in made.heads[index] if isinstance(layer, torch.nn.Linear))
        torch.testing.assert_close(made.logits(index, embeddings), linear(last, linear(first, embeddings).tanh()))


def test_the_projection_is_apart_from_the_head(embeddings):
    made = heads(projection_size=5)
    for index in (0, 2):
        first, last = (layer for layer in made.projections[index] if isinstance(layer, torch.nn.Linear))
        projected = made.project(index, embeddings)
        assert projected.shape == (4, 5)
        torch.testing.assert_close(projected, linear(last, linear(first, embeddings).clamp(min=0)))
        torch.testing.assert_close(made.logits(index, embeddings), linear(made.heads[index][-1], embeddings))
    # Lists have no contrastive loss, and a projection would stay without a gradient.
    assert not list(made.projections[1].parameters())


def test_without_a_projection_the_embeddings_are_read_themselves(embeddings):
    assert torch.equal(heads().project(0, embeddings), embeddings)


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_logits_are_computed_in_float32(embeddings, head):
    made = heads(head=head, projection_size=5)
    rounded = embeddings.bfloat16()
    for compute in (made.logits, made.project):
        expected = compute(0, rounded.float())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = compute(0, rounded)
        assert found.dtype == torch.float32 and torch.equal(found, expected)


def test_probabilities_by_name(embeddings):
    made = heads()
    found = made.probabilities(embeddings)
    assert list(found) == [column.name for column in COLUMNS]
    logits = made.logits(0, embeddings).exp()
    torch.testing.assert_close(found[KIND.name], logits / logits.sum(1, keepdim=True))
    torch.testing.assert_close(found["tags"], 1 / (1 + (-made.logits(1, embeddings)).exp()))
    assert (found["tags"].sum(1) - 1).abs().max() > 0.01  # each category has a probability of its own


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_dropout_acts_in_training_only(embeddings, head):
    made = heads(head=head, dropout=0.5)
    assert not torch.equal(made.logits(0, embeddings), made.logits(0, embeddings))
    made.eval()
    assert torch.equal(made.logits(0, embeddings), made.logits(0, embeddings))
    assert torch.equal(made.logits(0, embeddings), heads(head=head).logits(0, embeddings))


@pytest.mark.parametrize(
    "options",
    [{}, {"head": "mlp", "dropout": 0.25}, {"projection_size": 5}, {"head": "mlp", "projection_size": 3}],
    ids=str,
)
def test_a_folder_gives_the_heads_back(embeddings, tmp_path, options):
    made = heads(**options)
    made.save(tmp_path)
    loaded = CategoryHeads.from_pretrained(tmp_path)
    assert loaded.columns == COLUMNS and loaded.options == made.options and not loaded.training
    made.eval()
    for name, values in made.probabilities(embeddings).items():
        assert torch.equal(loaded.probabilities(embeddings)[name], values)
    assert torch.equal(loaded.project(0, embeddings), made.project(0, embeddings))
    assert loaded.columns[0].encode('Consult, "urgent"') == 1


def test_files_lie_apart_from_the_encoder_s(tmp_path):
    heads().save(tmp_path)
    names = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    assert names == {"category_heads/config.json", "category_heads/model.safetensors"}
    config = json.loads((tmp_path / "category_heads" / "config.json").read_text(encoding="utf-8"))
    assert [column["name"] for column in config["columns"]] == [column.name for column in COLUMNS]
    assert config["columns"][0]["labels"] == list(KIND.labels) and config["columns"][1]["multi_label"] is True


def test_saving_again_replaces_the_heads(embeddings, tmp_path):
    heads().save(tmp_path)
    torch.manual_seed(9)
    other = CategoryHeads([WARD], CategoryHeadOptions(6)).eval()
    other.save(tmp_path)
    loaded = CategoryHeads.from_pretrained(str(tmp_path))
    assert loaded.columns == (WARD,)
    assert torch.equal(loaded.logits(0, embeddings), other.logits(0, embeddings))


def test_weights_load_into_heads_that_exist(embeddings, tmp_path):
    heads().save(tmp_path)
    other = heads()
    torch.nn.init.zeros_(other.heads[0][-1].weight)
    other.load_weights(tmp_path)
    assert torch.equal(other.logits(0, embeddings), heads().logits(0, embeddings))


def test_a_list_column_of_one_label_has_a_single_logit(embeddings, tmp_path):
    made = heads([CategoryColumn("fall", ("fall",), (7,), multi_label=True)])
    made.save(tmp_path)
    found = CategoryHeads.from_pretrained(tmp_path).probabilities(embeddings)["fall"]
    assert found.shape == (4, 1) and ((found > 0) & (found < 1)).all()  # a sigmoid: a softmax would say 1 of all
    assert torch.equal(found, made.probabilities(embeddings)["fall"])


UNFIT = "the category heads are damaged, or of other columns; copy the folder again$"


@pytest.fixture
def saved(tmp_path):
    heads().save(tmp_path)
    return tmp_path / "category_heads"


@pytest.mark.parametrize(
    "damage",
    [lambda file: file.unlink(), lambda file: file.write_bytes(b""), lambda file: file.write_bytes(b"no tensors" * 9)],
    ids=["missing", "empty", "no tensors"],
)
def test_damaged_weights_are_an_input_error(saved, damage):
    damage(saved / "model.safetensors")
    with pytest.raises(InputError, match=UNFIT) as caught:
        CategoryHeads.from_pretrained(saved.parent)
    assert caught.value.file == saved / "model.safetensors"


def test_cut_off_weights_are_an_input_error(saved):
    file = saved / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match=UNFIT) as caught:
        CategoryHeads.from_pretrained(saved.parent)
    assert caught.value.file == file


@pytest.mark.parametrize("change", ["shape", "missing", "surplus"])
def test_weights_of_other_heads_are_an_input_error(saved, change):
    weights = load_file(saved / "model.safetensors")
    if change == "missing":
        weights.pop(min(weights))
    else:
        weights[min(weights) if change == "shape" else "more"] = torch.zeros(7)
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(InputError, match=UNFIT) as caught:
        heads().load_weights(saved.parent)
    assert caught.value.file == saved / "model.safetensors"


def test_heads_of_other_columns_do_not_fit(saved):
    with pytest.raises(InputError, match=UNFIT):
        heads([KIND, WARD]).load_weights(saved.parent)
    with pytest.raises(InputError, match=UNFIT):
        heads(projection_size=5).load_weights(saved.parent)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '"columns"',
        b"\xff\xfe\x00",
        {"columns": None},
        {"columns": [1]},
        {"columns": [{"name": "a"}]},
        {"columns": [{"name": "a", "labels": None, "counts": [], "multi_label": False}]},
        {"hidden_size": "6"},
        {"hidden_size": -6},
        {"dropout": 7},
    ],
    ids=str,
)
def test_a_damaged_configuration_is_an_input_error(saved, text):
    file = saved / "config.json"
    if isinstance(text, dict):
        text = json.dumps({**json.loads(file.read_text(encoding="utf-8")), **text})
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match="is not a configuration of category heads") as caught:
        CategoryHeads.from_pretrained(saved.parent)
    assert caught.value.file == file


def test_a_checkpoint_without_heads_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"has no category heads; train it with --category_columns"):
        CategoryHeads.from_pretrained(tmp_path)
