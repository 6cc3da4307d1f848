"""The account of the server: an existing one, the owner of existing data, never root."""

import os
import pwd
from pathlib import Path

import pytest

from reactorsync_local.embedded.account import postgres_account
from reactorsync_local.supervisor import LocalError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can choose an account")


def test_a_normal_user_runs_the_server_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid or 1000)

    assert postgres_account(tmp_path / "cluster", needed=()) is None


def test_a_normal_user_is_refused_the_data_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)

    with pytest.raises(LocalError, match="belongs to another user"):
        postgres_account(tmp_path, needed=())


@as_root
def test_root_takes_an_account_that_exists() -> None:
    account = postgres_account(Path("/var/no-such-folder"), needed=())

    assert account is not None
    assert pwd.getpwuid(account.uid).pw_name in {"postgres", "nobody"}


@as_root
def test_root_runs_existing_data_as_its_owner(tmp_path: Path) -> None:
    without_an_account = 54_321  # as with a folder that is mounted into a container
    os.chown(tmp_path, without_an_account, without_an_account)

    account = postgres_account(tmp_path, needed=())

    assert account is not None
    assert (account.uid, account.gid) == (without_an_account, without_an_account)


@as_root
def test_only_a_closed_folder_on_the_way_is_a_reason_to_keep_file_access(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    closed.chmod(0o700)

    without = postgres_account(Path("/var/no-such-folder"), needed=(Path("/usr/bin"),))
    with_closed_data = postgres_account(closed / "cluster", needed=())
    with_closed_programs = postgres_account(Path("/var/no-such-folder"), needed=(closed / "bin",))

    assert without is not None
    assert not without.keep_file_access
    assert with_closed_data is not None
    assert with_closed_data.keep_file_access
    assert with_closed_programs is not None
    assert with_closed_programs.keep_file_access
