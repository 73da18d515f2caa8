"""Keys are read from files that nobody else may read."""

import errno
from unittest.mock import Mock

import pytest

from seewhy.errors import UsageError
from seewhy.serving import keys

KEY = "0123456789abcdef"


def test_a_key_that_others_may_read_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "key"
    for text, mode, match in [
        (KEY, 0o644, "chmod 600"),
        (KEY, 0o640, "chmod 600"),
        ("short", 0o600, "16 characters"),
        (KEY + " more", 0o600, "without spaces"),
        ("", 0o600, "16 characters"),
    ]:
        file.write_text(text)
        file.chmod(mode)
        with pytest.raises(UsageError, match=match):
            keys.read_secret(file)
    file.write_text(KEY + "\n")
    assert keys.read_secret(file) == KEY
    # Kubernetes and systemd: a file of root's, for the group of a service that is not root.
    file.chmod(0o440)
    monkeypatch.setattr(keys.os, "getuid", lambda: 10001)
    if file.stat().st_uid == 0:
        assert keys.read_secret(file) == KEY
    file.chmod(0o444)
    with pytest.raises(UsageError, match="chmod 600"):
        keys.read_secret(file)
    with pytest.raises(UsageError, match="cannot be read"):
        keys.read_secret(tmp_path / "none")


def test_the_operators_token_is_made_once_for_this_user_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path))
    token = keys.admin_token()
    assert token == keys.admin_token() and len(token) > 40
    assert keys.token_file().stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.rglob("*")) == [tmp_path / "serving", keys.token_file()]
    keys.token_file().chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        keys.admin_token()


def test_a_token_that_is_not_written_is_made_at_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path))
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, "the disk is full")  # once there is a file
        patch.setattr(keys.secrets, "token_urlsafe", Mock(side_effect=full))
        with pytest.raises(OSError, match="full"):
            keys.admin_token()
    assert len(keys.admin_token()) > 40
