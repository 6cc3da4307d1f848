"""What counts as this machine's own address."""

import pytest

from reactorsync.loopback import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [None, "", "0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com"],
)
def test_what_others_can_reach(host: str | None) -> None:
    assert not is_loopback(host)
