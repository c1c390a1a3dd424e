"""Texts, vectors and tables of concept states."""

import numpy as np
import pytest

from corpora.encounters import ConceptState
from corpora.errors import InputError
from modeling import concept_embeddings
from modeling.concept_embeddings import (
    ConceptTemplates,
    concept_texts,
    embed_concepts,
    one_hot_vectors,
    random_vectors,
)
from modeling.concept_table import ConceptTable

STATES = (
    ConceptState("C1", "fever"),
    ConceptState("C1", "fever", "absent"),
    ConceptState("C2", "chest/pain - left", "present"),
    ConceptState("C3", "knee swelling", "high"),
    ConceptState("C4", "cough", "measured"),
)


def test_texts_are_those_of_the_study():
    assert concept_texts(STATES) == ["fever", "Not fever", "chest pain left", "high knee swelling", "cough"]
    templates = ConceptTemplates("has {name}", "no sign of {name}", "{name} is {state}")
    assert concept_texts(STATES[:4], templates) == [
        "has fever",
        "no sign of fever",
        "has chest pain left",
        "knee swelling is high",
    ]
    # A name or a state is put in as it is, whatever it holds.
    assert concept_texts([ConceptState("C", "{state} x", "high")]) == ["high {state} x"]


@pytest.mark.parametrize(
    "fields", [{"present": "x"}, {"absent": "{name} {name}"}, {"level": "{name}"}, {"present": "{"}]
)
def test_a_template_must_hold_its_fields(fields):
    with pytest.raises(InputError, match="the template"):
        ConceptTemplates(**fields)


def test_a_concept_without_name_is_named_by_its_code():
    with pytest.raises(InputError, match="concept 'dx:1' has no name"):
        concept_texts([ConceptState("dx:1", " - ")])


def test_embeddings_equal_those_of_the_encoder_and_are_cached(make_encoder, tmp_path, monkeypatch):
    from modeling.document_encoder import DocumentEncoder

    encoder = make_encoder("bert")
    found = embed_concepts(STATES, encoder, cache=tmp_path / "cache")
    expected = DocumentEncoder.from_pretrained(encoder).encode(concept_texts(STATES))
    np.testing.assert_allclose(found, expected, atol=1e-5)

    calls = []
    original = DocumentEncoder.encode
    monkeypatch.setattr(
        DocumentEncoder, "encode", lambda self, texts: calls.append(list(texts)) or original(self, texts)
    )
    np.testing.assert_array_equal(embed_concepts(STATES[::-1], encoder, cache=tmp_path / "cache"), found[::-1])
    assert not calls
    more = (*STATES, ConceptState("C9", "rash"), ConceptState("C8", "rash"))
    again = embed_concepts(more, encoder, cache=tmp_path / "cache")
    assert calls == [["rash"]]  # each new text once
    np.testing.assert_array_equal(again[:5], found)
    np.testing.assert_array_equal(again[5], again[6])
    # Another negation is another text; another model has a file of its own.
    embed_concepts(STATES, encoder, ConceptTemplates(absent="no {name}"), tmp_path / "cache")
    assert calls[1:] == [["no fever"]]
    embed_concepts(STATES[:1], make_encoder("roberta"), cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2
    with pytest.raises(InputError, match="is a file"):
        (tmp_path / "file").touch()
        embed_concepts(STATES, encoder, cache=tmp_path / "file")


def test_a_broken_cache_is_made_again(make_encoder, tmp_path):
    found = embed_concepts(STATES, make_encoder("bert"), cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:50])
    np.testing.assert_array_equal(embed_concepts(STATES, make_encoder("bert"), cache=tmp_path), found)
    assert file.stat().st_size > 50


def test_the_cache_knows_the_settings_of_a_model(make_encoder, tmp_path):
    import shutil

    shutil.copytree(make_encoder("bert"), tmp_path / "model")
    before = concept_embeddings._files_digest(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace("gelu", "relu"))
    assert concept_embeddings._files_digest(tmp_path / "model") != before


def test_random_vectors_depend_on_the_key_alone():
    found = random_vectors(STATES, 2000)
    np.testing.assert_array_equal(found[[3, 0]], random_vectors([STATES[3], STATES[0]], 2000))
    renamed = ConceptState("C1", "pyrexia")
    np.testing.assert_array_equal(random_vectors([renamed], 2000), found[:1])
    assert not np.array_equal(random_vectors(STATES, 2000, seed=1), found)
    # Standard normal and unrelated: standard errors are 1/sqrt(2000) and sqrt(2/2000).
    correlations = np.corrcoef(found)[np.triu_indices(5, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(2000)
    np.testing.assert_allclose(found.var(1), 1, atol=4 * np.sqrt(2 / 2000))


def test_one_hot_vectors():
    found = one_hot_vectors([STATES[2], STATES[0], ConceptState("C7", "other")], STATES)
    np.testing.assert_array_equal(found, [[0, 0, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]])


def test_a_table_is_centred_by_its_own_states_and_takes_new_ones_the_same_way():
    raw = random_vectors(STATES, 8) + 5
    table = ConceptTable.build(STATES[:3], raw[:3], norm=2.0)
    expected = raw[:3] - raw[:3].mean(0)
    np.testing.assert_allclose(table.vectors, 2 * expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5)
    whole = table.extended(STATES, raw)
    assert [state.key for state in whole.states] == [state.key for state in STATES]
    new = raw[4] - raw[:3].mean(0)
    np.testing.assert_allclose(whole.vectors[4], 2 * new / np.linalg.norm(new), rtol=1e-5)
    np.testing.assert_array_equal(whole.rows([STATES[4], STATES[0]]), whole.vectors[[4, 0]])
    with pytest.raises(InputError, match="2 of 3 concept states have no vector, the first is 'C3=high'"):
        table.rows([STATES[0], STATES[3], STATES[4]])
    # Neither centred nor scaled: the published setting.
    np.testing.assert_array_equal(ConceptTable.build(STATES, raw, centre=False, norm=None).vectors, raw)
    alone = ConceptTable.build(
        STATES[:1], raw[:1]
    )  # its own mean: nothing is left of it, and nothing is divided by zero
    np.testing.assert_array_equal(alone.vectors, np.zeros((1, 8)))


def test_a_saved_table_is_the_same(tmp_path):
    table = ConceptTable.build(STATES, random_vectors(STATES, 4))
    table.save(tmp_path / "table")
    assert sorted(file.name for file in (tmp_path / "table").iterdir()) == [
        "concept_states.json",
        "concept_vectors.safetensors",
    ]
    loaded = ConceptTable.load(tmp_path / "table")
    assert loaded.states == STATES and loaded.norm == table.norm
    np.testing.assert_array_equal(loaded.vectors, table.vectors)
    np.testing.assert_array_equal(loaded.mean, table.mean)
    with pytest.raises(InputError, match="holds no concept table"):
        ConceptTable.load(tmp_path)
    states = tmp_path / "table" / "concept_states.json"
    states.write_text(states.read_text().replace('"code": "C4"', '"cod": "C4"'))
    with pytest.raises(InputError, match="damaged"):
        ConceptTable.load(tmp_path / "table")
    states.write_text('{"norm": null, "states": []}')
    with pytest.raises(InputError, match="5 vectors for 0 states"):
        ConceptTable.load(tmp_path / "table")
