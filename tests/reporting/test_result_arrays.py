"""Arrays beside a results.json: every kind of damage is one clear message."""

import numpy as np
import pytest

from corpora.errors import InputError
from reporting.json_fields import JsonFields
from reporting.result_arrays import path_within, read_arrays


@pytest.fixture
def file(tmp_path):
    np.savez_compressed(tmp_path / "cell.npz", scores=np.arange(600) % 7, names=np.array(["a", "b"]))
    return tmp_path / "cell.npz"


def test_arrays_come_in_the_order_of_their_names(file):
    names, scores = read_arrays(file, ("names", "scores"), "again").values()
    np.testing.assert_array_equal(scores, np.arange(600) % 7)
    assert names.tolist() == ["a", "b"]


def cut(file):
    file.write_bytes(file.read_bytes()[:200])


def change_bytes(file):
    content = bytearray(file.read_bytes())
    content[60:90] = bytes(30)
    file.write_bytes(content)


def bare_array(file):
    with file.open("wb") as stream:
        np.save(stream, np.ones(3))


def pickled(file):
    np.savez(file, scores=np.array([{}], dtype=object), names=np.array(["a"]))


@pytest.mark.parametrize("damage", [cut, change_bytes, bare_array, pickled, lambda file: file.write_bytes(b"")])
def test_a_damaged_file(file, damage):
    damage(file)
    with pytest.raises(InputError, match=r"cell\.npz: cannot be read as NumPy arrays; again"):
        read_arrays(file, ("scores", "names"), "again")


def test_a_missing_file_and_a_missing_array(file):
    with pytest.raises(InputError, match="holds no array 'targets'; again"):
        read_arrays(file, ("scores", "targets"), "again")
    with pytest.raises(InputError, match=r"other\.npz: no such file; again"):
        read_arrays(file.with_name("other.npz"), ("scores",), "again")


@pytest.mark.parametrize("path", ["../cell.npz", "/cell.npz", "cells/../../cell.npz"])
def test_a_path_that_leads_out_of_the_folder(tmp_path, path):
    fields = JsonFields({"counts": path}, tmp_path / "results.json", "cell 'a'", remedy="again")
    with pytest.raises(InputError, match=r"results.json: cell 'a': the counts lie outside the folder; again"):
        path_within(tmp_path, fields, "counts")


def test_a_path_within_the_folder(tmp_path):
    fields = JsonFields({"counts": "cells/a.npz"}, tmp_path / "results.json", remedy="again")
    assert path_within(tmp_path, fields, "counts") == tmp_path / "cells" / "a.npz"
