"""Resources in request bodies, as strict as manifests and the API server of Kubernetes are.

The models alone would take ``"900"`` for a number and a field by its Python name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic import BeforeValidator, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from reactorsync.resources import Kind, Resource
from reactorsync.resources.manifest import RefusedResource, load_resource
from reactorsync.resources.yaml_nodes import MAX_DEPTH, Node

_KEPT: Final = frozenset({"resourceVersion"})
"""Metadata of the server that a caller sends back: the version that it means to replace."""


def strict(kind: Kind) -> BeforeValidator:
    """Return what makes a parameter of ``kind`` read its body as a manifest is read.

    Pydantic then finds a resource instead of plain JSON, and takes it as it is; the schema in the
    API's description stays that of the model.
    """
    return BeforeValidator(_reader(kind))


def _reader(kind: Kind) -> Callable[[object], Resource]:
    def read(body: object) -> Resource:
        if not isinstance(body, dict):
            raise PydanticCustomError("refused", "must be a JSON object")
        try:
            return load_resource(_node(body, MAX_DEPTH), kind, kept=_KEPT)
        except RefusedResource as refused:
            raise ValidationError.from_exception_data(
                kind,
                [
                    InitErrorDetails(
                        type=PydanticCustomError("refused", "{message}", {"message": message}),
                        loc=path,
                        input=None,
                    )
                    for path, _, message in refused.reasons
                ],
            ) from refused

    return read


def _node(value: Any, depth: int) -> Node:
    """Return JSON as the nodes of a manifest; they have no lines here."""
    if depth == 0:
        raise PydanticCustomError(
            "refused",
            "must not be nested deeper than {most} levels",
            {"most": MAX_DEPTH},
        )
    if isinstance(value, dict):
        return Node({name: _node(part, depth - 1) for name, part in value.items()}, line=0)
    if isinstance(value, list):
        return Node([_node(part, depth - 1) for part in value], line=0)
    return Node(value, line=0)
