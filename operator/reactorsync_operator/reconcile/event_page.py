"""The documentation of events, made from their table.

``python -m reactorsync_operator.reconcile.event_page docs/events.md`` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from reactorsync_operator.reconcile.event_kinds import (
    REACTOR_EVENTS,
    SCENARIO_EVENTS,
    Becomes,
    EventKind,
)


def to_markdown() -> str:
    """Return the documentation of every event."""
    return _PAGE.format(
        reactors="\n".join(_rows(REACTOR_EVENTS)), scenarios="\n".join(_rows(SCENARIO_EVENTS))
    )


def _rows(kinds: Iterable[EventKind]) -> Iterator[str]:
    yield "| Reason | Type | Action | Posted when | Note |"
    yield "|---|---|---|---|---|"
    for kind in kinds:
        trigger = kind.trigger
        if isinstance(trigger, Becomes):
            trigger = f"`{trigger.condition}` becomes {trigger.status}"
        yield f"| `{kind.reason}` | {kind.type} | `{kind.action}` | {trigger} | {kind.template} |"


_PAGE: Final = """\
# Events

<!-- Made by `python -m reactorsync_operator.reconcile.event_page docs/events.md`. -->

The operator posts an event (`events.k8s.io/v1`, in the namespace of the object it is about, with
`reportingController: reactorsync.dev/operator`) for what changed in a status it wrote. They are a
narration for people: conditions hold the truth, and nothing should be automated on events.

```console
$ kubectl describe anomalyscenario pump-trip
$ kubectl events --for anomalyscenario/pump-trip --watch
$ kubectl get events.events.k8s.io --field-selector reason=Tripped
```

`{{message}}` is the message of the condition, `{{summary}}` that of `status.summary`.

## Reactor

{reactors}

## AnomalyScenario

{scenarios}

## How many

- One status change makes at most one event of a reason, whether the scenario acts on ten reactors
  or on ten thousand.
- The same event of the same object within six minutes is counted (`series.count`), not posted
  again; the count is brought up to date at most every 30 seconds.
- Rates are capped for an object (25 at once, then one a minute), for a reason (20 at once, then one
  a second) and overall (100 at once, then ten a second). What exceeds them is dropped and counted
  in `reactorsync_operator_announcements_total`: a fleet of 10,000 reactors that loses its broker
  says so a few dozen times, and each of its reactors says so in its `Ready` condition.
- Posting never holds up reconciliation: while the API server is away at most 1,000 events wait.
  Where the operator may not create events, it logs one warning and goes on without.
- Over Postgres (`reactorsync up`) there are no events: the same announcements are lines of the
  operator's log.
"""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(to_markdown(), encoding="utf-8")
