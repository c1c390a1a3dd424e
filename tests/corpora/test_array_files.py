"""Arrays that are made again where their file is missing or broken."""

import numpy as np
import pytest

from corpora.array_files import read_arrays_if_whole


def test_arrays_come_back(tmp_path):
    np.savez(tmp_path / "a.npz", one=np.arange(3), two=np.eye(2))
    found = read_arrays_if_whole(tmp_path / "a.npz")
    assert (
        found.keys() == {"one", "two"}
        and found["one"].tolist() == [0, 1, 2]
        and found["two"].tolist() == [[1, 0], [0, 1]]
    )


def test_every_way_to_cut_a_file_short_is_seen(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", one=np.arange(3))
    whole = (tmp_path / "a.npz").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "a.npz").write_bytes(whole[:length])
        assert read_arrays_if_whole(tmp_path / "a.npz") is None, length


@pytest.mark.parametrize(
    "write", [lambda file: None, lambda file: np.save(file.open("wb"), np.eye(2)), lambda file: file.mkdir()]
)
def test_no_file_and_one_of_another_kind(tmp_path, write):
    write(tmp_path / "a.npz")
    assert read_arrays_if_whole(tmp_path / "a.npz") is None
