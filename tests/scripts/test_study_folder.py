"""The folder of a study: which cells count as done, and what is broken in it."""

import os

import numpy as np
import pytest

from classification_cells import Cell, ResultFolder
from concept_transfer_cells import TransferFolder
from corpora.errors import InputError
from tag_cells import TaggingCell, TaggingFolder

CELL = Cell(None, "tfidf", None, None, 4, 0)


def delete(file):
    file.unlink()


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


@pytest.fixture
def results(tmp_path):
    folder = ResultFolder(tmp_path / "out")
    folder.open({"seed": 0}, {})
    folder.write(CELL, np.eye(3), {})
    assert folder.is_done(CELL)
    return folder


@pytest.mark.parametrize("ending", [".npz", ".json"])
@pytest.mark.parametrize("damage", [delete, cut])
def test_a_cell_that_lost_a_file_is_computed_again(results, damage, ending):
    damage(results.cells / f"{CELL.id}{ending}")
    assert not results.is_done(CELL)
    results.write(CELL, np.eye(3), {})
    assert results.is_done(CELL)


@pytest.mark.parametrize("damage", [delete, cut])
def test_a_tagger_without_its_counts_is_trained_again(tmp_path, damage):
    folder, cell = TaggingFolder(tmp_path / "out"), TaggingCell(100, 0)
    folder.open({})
    np.savez(folder.counts(cell), gold=np.arange(3))
    folder.write_record(cell, {"counts": f"cells/{folder.counts(cell).name}"})
    assert folder.is_done(cell)
    damage(folder.counts(cell))
    assert not folder.is_done(cell)


@pytest.mark.parametrize("kind", [ResultFolder, TransferFolder])
def test_settings_that_are_cut_short_are_the_fault_of_the_file(results, kind):
    cut(results.folder / "settings.json")
    with pytest.raises(InputError, match=r"settings\.json: is not whole JSON; .*--restart"):
        kind(results.folder).open({"seed": 0}, {})
    kind(results.folder, restart=True).open({"seed": 0}, {})


def test_features_of_a_broken_file_are_made_again(results):
    made = []

    def make():
        made.append(0)
        return {"train": np.eye(2)}

    for count in (1, 1):
        assert results.embeddings("tiny", make)["train"].tolist() == [[1, 0], [0, 1]] and len(made) == count
    cut(results.folder / "features" / "tiny.npz")
    for count in (2, 2):
        assert results.embeddings("tiny", make)["train"].tolist() == [[1, 0], [0, 1]] and len(made) == count
