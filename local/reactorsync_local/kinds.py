"""The kinds of resources as commands name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reactorsync.resources import AnomalyScenario, Reactor, Resource
from reactorsync.resources.meta import GROUP
from reactorsync_local.errors import BadInput


@dataclass(frozen=True, slots=True)
class KindInfo:
    """A kind: its model, its collection in the API, and how people write it."""

    model: type[Reactor] | type[AnomalyScenario]
    collection: str
    singular: str
    plural: str
    aliases: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """Every way to write the kind, in lower case."""
        return frozenset({self.singular, self.plural, *self.aliases})


REACTORS: Final = KindInfo(
    model=Reactor,
    collection="reactors",
    singular="reactor",
    plural="reactors",
    aliases=("rx",),
)

SCENARIOS: Final = KindInfo(
    model=AnomalyScenario,
    collection="scenarios",
    singular="anomalyscenario",
    plural="anomalyscenarios",
    aliases=("anom", "scenario", "scenarios"),
)

KIND_NAMES: Final = "reactors (rx) or scenarios (anom)"


def find_kind(text: str) -> KindInfo | None:
    """Return the kind that ``text`` names, with or without the group; ``None`` if it is none."""
    name = text.lower().removesuffix(f".{GROUP}")
    for kind in (REACTORS, SCENARIOS):
        if name in kind.names:
            return kind
    return None


def parse_kind(text: str) -> KindInfo:
    """Return the kind that ``text`` names. Raises :class:`BadInput`."""
    kind = find_kind(text)
    if kind is None:
        raise BadInput(f"no kind {text!r}", hint=f"there are {KIND_NAMES}")
    return kind


def check_name(name: str) -> str:
    """Return ``name`` if it may be one. Raises :class:`BadInput` for ``namespace/name``."""
    namespace, slash, rest = name.rpartition("/")
    if slash:
        hint = (
            f"a namespace is given by -n: `{rest} -n {namespace}`" if namespace and rest else None
        )
        raise BadInput(f"{name!r} is no name of an object", hint=hint)
    return name


def kind_of(resource: Resource) -> KindInfo:
    """Return the kind of an object."""
    return REACTORS if isinstance(resource, Reactor) else SCENARIOS


def full_name(resource: Resource) -> str:
    """Return what kubectl prints for an object, ``reactor.reactorsync.dev/cernavoda-1``."""
    return f"{kind_of(resource).singular}.{GROUP}/{resource.metadata.name}"
