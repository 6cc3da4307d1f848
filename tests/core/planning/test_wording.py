"""Numbers in sentences for people."""

import pytest

from reactorsync.planning.wording import counted


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 reactors"), (1, "1 reactor"), (2, "2 reactors"), (1000, "1000 reactors")],
)
def test_one_is_no_plural(count: int, text: str) -> None:
    assert counted(count, "reactor") == text
