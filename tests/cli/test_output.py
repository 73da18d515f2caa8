import pytest

from seewhy.cli.output import new_folder, refuse_existing
from seewhy.errors import UsageError


def test_a_folder_that_holds_something_is_refused_and_an_empty_one_taken(tmp_path):
    assert new_folder(None) is None
    empty = tmp_path / "a" / "b"
    assert new_folder(empty) == empty == new_folder(empty) and empty.is_dir()
    for full in (tmp_path, tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="already holds something"):
            new_folder(full)


def test_what_is_there_is_never_written_over(tmp_path):
    refuse_existing(None)
    refuse_existing(tmp_path / "new.csv")
    with pytest.raises(UsageError, match="exists and is not written over"):
        refuse_existing(tmp_path)
