"""Manifests: resources as people write them, the same YAML that ``kubectl apply`` takes.

What an API server would refuse is refused here: unknown fields, numbers in quotes, ``Off`` without
quotes (YAML's boolean). What only an API server sets, and ``status``, is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import yaml
from pydantic import ValidationError

from reactorsync.resources.manifest_problems import (
    Path,
    Problem,
    did_you_mean,
    dotted,
    explain,
)
from reactorsync.resources.meta import API_VERSION, Kind
from reactorsync.resources.reactor import Reactor
from reactorsync.resources.scenario import AnomalyScenario
from reactorsync.resources.yaml_nodes import Node, YamlError, parse_documents, resolve

Resource = Reactor | AnomalyScenario

_MODELS: Final[Mapping[str, type[Reactor | AnomalyScenario]]] = {
    Kind.REACTOR.value: Reactor,
    Kind.ANOMALY_SCENARIO.value: AnomalyScenario,
}
_LISTS: Final = frozenset({"List", *(f"{kind}List" for kind in _MODELS)})
_METADATA: Final = frozenset({"name", "namespace", "labels", "annotations"})
_SERVER_METADATA: Final = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
_KUBECTL_ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"


class ManifestError(ValueError):
    """A text that holds problems; ``problems`` lists all of them, in order of their lines."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class RefusedResource(ValueError):
    """A document that is no resource; ``reasons`` are path, line and what is allowed, of each."""

    def __init__(self, reasons: list[tuple[Path, int, str]]) -> None:
        super().__init__("; ".join(f"{dotted(path)}: {message}" for path, _, message in reasons))
        self.reasons = reasons


def load_manifests(text: str, *, source: str) -> list[Resource]:
    """Read every resource of a YAML or JSON text: several documents, lists of resources.

    ``source`` names the text in problems, usually the path of the file. Empty documents count for
    nothing.

    Raises:
        ManifestError: anything at all is wrong; then nothing of the text should be used.
    """
    problems: list[Problem] = []
    resources: list[Resource] = []
    try:
        for document in parse_documents(text):
            _load(document, (), source, resources, problems)
    except YamlError as error:
        problems.append(Problem(source, error.line, "", error.message))
    if problems:
        raise ManifestError(sorted(problems, key=lambda problem: problem.line))
    return resources


def load_resource(node: Node, kind: Kind, *, kept: Collection[str] = ()) -> Resource:
    """Read one resource of a known kind.

    ``kept`` names metadata to take although only an API server sets it, such as the
    ``resourceVersion`` of what is to be replaced.

    Raises:
        RefusedResource: anything at all is wrong.
    """
    reasons = list(_unknown_metadata(node))
    try:
        # As JSON and strictly, for then text stays text and numbers stay numbers, as with kubectl.
        resource = _MODELS[kind.value].model_validate_json(
            json.dumps(_content(node, _METADATA.union(kept))),
            strict=True,
            by_alias=True,
            by_name=False,
        )
    except ValidationError as error:
        raise RefusedResource([*reasons, *explain(error, kind, node)]) from error
    if reasons:
        raise RefusedResource(reasons)
    return resource


def to_manifest(resource: Resource) -> str:
    """Return ``resource`` as ``kubectl get -o yaml`` prints it, without an empty status."""
    document = resource.to_json()
    if resource.status == type(resource.status)():
        del document["status"]
    metadata = document["metadata"]
    assert isinstance(metadata, dict)  # noqa: S101 - it is an object by its model
    document["metadata"] = {name: value for name, value in metadata.items() if value}
    return yaml.dump(document, Dumper=_Dumper, sort_keys=True, width=100, allow_unicode=True)


def _load(
    node: Node,
    base: tuple[str | int, ...],
    source: str,
    resources: list[Resource],
    problems: list[Problem],
) -> None:
    def refuse(line: int, message: str, *path: str | int) -> None:
        problems.append(Problem(source, line, dotted((*base, *path)), message))

    if not isinstance(node.value, dict):
        refuse(node.line, "must be a mapping with apiVersion, kind, metadata and spec")
        return
    kind = _text(node, "kind")
    if kind in _LISTS:
        items = node.child("items")
        if items is None or not isinstance(items.value, list):
            refuse(node.line_of("items"), "must be a list of resources", "items")
            return
        for index, item in enumerate(items.value):
            _load(item, (*base, "items", index), source, resources, problems)
        return
    if kind not in _MODELS:
        known = did_you_mean(kind, _MODELS) if kind else ""
        refuse(node.line_of("kind"), f"must be {' or '.join(_MODELS)}{known}", "kind")
        return
    if _text(node, "apiVersion") != API_VERSION:
        refuse(node.line_of("apiVersion"), f"must be {API_VERSION}", "apiVersion")
        return
    try:
        resources.append(load_resource(node, Kind(kind)))
    except RefusedResource as refused:
        for path, line, message in refused.reasons:
            refuse(line, message, *path)


def _text(node: Node, key: str) -> str:
    part = node.child(key)
    return part.value if part is not None and isinstance(part.value, str) else ""


def _unknown_metadata(node: Node) -> Iterator[tuple[Path, int, str]]:
    """Yield metadata that no API server knows: the model would ignore it."""
    metadata = node.child("metadata")
    if metadata is None or not isinstance(metadata.value, dict):
        return
    for name in metadata.value.keys() - _METADATA - _SERVER_METADATA:
        known = did_you_mean(name, _METADATA)
        yield ("metadata", name), metadata.line_of(name), f"is no field here{known}"


def _content(node: Node, wanted: Collection[str]) -> Any:
    """Return what the author says: without status, what a server or kubectl adds, and nulls."""
    document = _without_nulls(node.plain())
    document.pop("status", None)
    metadata = document.get("metadata")
    if isinstance(metadata, dict):
        metadata = {name: value for name, value in metadata.items() if name in wanted}
        if isinstance(metadata.get("annotations"), dict):
            metadata["annotations"].pop(_KUBECTL_ANNOTATION, None)
        document["metadata"] = metadata
    return document


def _without_nulls(value: Any) -> Any:
    """Leave out fields that are null: an API server takes them for absent."""
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


class _Dumper(yaml.SafeDumper):
    """Puts text into quotes that kubectl would not take for text."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    value, note = resolve(text)
    is_safe = isinstance(value, str) and note is None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_safe else '"')


_Dumper.add_representer(str, _represent_text)
