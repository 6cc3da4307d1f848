"""Which user Postgres runs as: itself refuses root.

Opening folders of the user to others (`chmod o+x`), creating an account, or running a server as the
owner of everything are not ours to do. As root we take an account that exists; where a folder on
the way is closed to it (a checkout in root's home, one made by `mktemp -d`), the process keeps the
single capability to pass it.
"""

import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

from reactorsync_local.supervisor.child import Account
from reactorsync_local.supervisor.errors import LocalError

CANDIDATES = ("postgres", "nobody")


def postgres_account(cluster: Path, *, needed: Iterable[Path]) -> Account | None:
    """The account for the server of `cluster`, which must also reach the `needed` paths; None for
    our own.

    An existing cluster is run by its owner. Raises `LocalError` if this user is neither that nor
    root.
    """
    owner = cluster.stat().st_uid if cluster.exists() else None
    own = os.geteuid()
    if own != 0:
        if owner not in {None, own}:
            raise LocalError(
                f"the database folder {cluster} belongs to another user (uid {owner})",
                action="run as that user, or use another state folder",
            )
        return None
    uid, gid = (owner, cluster.stat().st_gid) if owner else _existing_account()
    closed = any(not _reaches(uid, gid, path) for path in (cluster.parent, *needed))
    return Account(uid=uid, gid=gid, keep_file_access=closed)


def _existing_account() -> tuple[int, int]:
    """User and group id of the first candidate there is."""
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise LocalError(
        "Postgres refuses to run as root, and there is no account `postgres` or `nobody`",
        action="run as a normal user, or add one of them (`useradd --system postgres`)",
    )


def _reaches(uid: int, gid: int, path: Path) -> bool:
    """Whether a user may pass every folder down to `path`; by the modes alone."""
    return all(_may_pass(uid, gid, folder.stat()) for folder in (path, *path.parents))


def _may_pass(uid: int, gid: int, status: os.stat_result) -> bool:
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
