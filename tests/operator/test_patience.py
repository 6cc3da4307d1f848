"""Objects that are left alone for a while, and others of the same name, which are not."""

from typing import Any

import pytest

from reactorsync.resources import Kind, Reactor
from reactorsync_operator.fleet import WorkKey
from reactorsync_operator.patience import OVERWRITTEN_TIMES, Contention, Pauses
from tests.core.planning.build import reactor, uid_of

KEY = WorkKey(Kind.REACTOR, "default/bruce-1")
NOW = 100.0
AT_ONCE = float("-inf")


def bruce_1(**metadata: Any) -> Reactor:
    born = reactor("bruce-1")
    return born.model_copy(update={"metadata": born.metadata.model_copy(update=metadata)})


OTHER: dict[str, Any] = {"uid": uid_of("another one of that name")}


@pytest.fixture
def pauses() -> Pauses:
    return Pauses(lambda: NOW)


@pytest.mark.parametrize(
    ("change", "waits"),
    [
        pytest.param({"resource_version": "9"}, True, id="its status was written"),
        pytest.param({"generation": 2}, False, id="its spec was edited"),
        pytest.param(OTHER, False, id="it is another one"),
    ],
)
def test_a_pause_is_that_of_one_object_and_spec(
    pauses: Pauses, change: dict[str, Any], waits: bool
) -> None:
    pauses.refused(KEY, bruce_1())
    assert (pauses.until(KEY, bruce_1(**change)) > NOW) is waits
    assert pauses.is_refused(KEY) is (change != OTHER)


def test_pauses_grow_and_begin_anew_with_another_object(pauses: Pauses) -> None:
    assert pauses.failed(KEY, bruce_1())
    for _ in range(5):
        assert not pauses.failed(KEY, bruce_1()), "that it fails is no news"
    assert pauses.until(KEY, bruce_1()) >= NOW + 10
    assert pauses.failed(KEY, bruce_1(**OTHER))
    assert pauses.until(KEY, bruce_1(**OTHER)) <= NOW + 1
    pauses.drop(KEY)
    assert pauses.until(KEY, bruce_1(**OTHER)) == AT_ONCE


def replaced(version: int, **metadata: Any) -> Reactor:
    """What stands in the store after somebody else wrote the status."""
    one = bruce_1(resource_version=str(version), **metadata)
    status = one.status.model_copy(update={"open_alarms": version})
    return one.model_copy(update={"status": status})


def test_a_fight_over_one_object_is_none_over_another() -> None:
    contention = Contention(lambda: NOW)
    for version in range(OVERWRITTEN_TIMES):
        contention.wrote(KEY, bruce_1(resource_version=str(10 * version)))
        contention.look(KEY, replaced(10 * version + 1))
    assert contention.is_fought_over(KEY)
    contention.look(KEY, replaced(99, **OTHER))
    assert not contention.is_fought_over(KEY)
