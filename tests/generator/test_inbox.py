"""Changes between their arrival and the moment they become valid."""

from reactorsync_generator.desired_view import Change
from reactorsync_generator.inbox import Inbox
from reactorsync_generator.ticking import GRID_US
from tests.generator.reactors import START


def test_a_change_is_handed_on_at_once_and_valid_from_the_next_boundary() -> None:
    inbox = Inbox()
    assert not inbox.waits
    inbox.put([Change("default/a", None)], START + 1)
    assert inbox.waits
    assert inbox.take(START + 1) == ([Change("default/a", None)], START + GRID_US)
    assert not inbox.waits
    assert inbox.take(START + GRID_US) == ([], START + GRID_US)


def test_changes_are_taken_in_order_of_arrival_and_those_that_are_late_first() -> None:
    inbox = Inbox()
    first, second, third = (Change(f"default/{name}", None) for name in "abc")
    inbox.put([first], START)
    inbox.put([second], START + GRID_US)
    inbox.put([third], START + 2 * GRID_US + 1)
    assert inbox.take(START + 2 * GRID_US) == ([first, second], START + GRID_US)
    assert inbox.take(START + 2 * GRID_US) == ([third], START + 3 * GRID_US)
