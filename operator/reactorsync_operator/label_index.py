"""Which reactors carry a label, so that a selector need not look at all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set

_NONE: frozenset[str] = frozenset()


class LabelIndex:
    """Names by namespace, and by namespace, label and value."""

    def __init__(self) -> None:
        self._all: defaultdict[str, set[str]] = defaultdict(set)
        self._carriers: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)

    def add(self, namespace: str, name: str, labels: Mapping[str, str]) -> None:
        """Enter a name with its labels."""
        self._all[namespace].add(name)
        for key, value in labels.items():
            self._carriers[namespace, key, value].add(name)

    def discard(self, namespace: str, name: str, labels: Mapping[str, str]) -> None:
        """Remove a name, which had been entered with these labels."""
        self._all[namespace].discard(name)
        for key, value in labels.items():
            carriers = self._carriers[namespace, key, value]
            carriers.discard(name)
            if not carriers:
                del self._carriers[namespace, key, value]

    def count(self, namespace: str) -> int:
        """Return how many names there are in a namespace."""
        return len(self._all.get(namespace, _NONE))

    def narrowed(self, namespace: str, labels: Mapping[str, str]) -> Set[str]:
        """Return the fewest names among which all are that carry every one of ``labels``."""
        groups = [
            self._carriers.get((namespace, key, value), _NONE) for key, value in labels.items()
        ]
        return min(groups, key=len, default=self._all.get(namespace, _NONE))
