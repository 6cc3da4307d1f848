"""Resources as an API server has them: paths, what is read and what is written."""

from __future__ import annotations

from pydantic import BaseModel, JsonValue, ValidationError

from reactorsync.kube import JsonObject
from reactorsync.resources import Kind, Resource
from reactorsync.resources.crd_presentation import PRESENTATIONS
from reactorsync.resources.meta import GROUP, VERSION
from reactorsync.store.port import R
from reactorsync.store.reading import kind_name, unreadable


def collection_path(kind: type[R], namespace: str | None) -> str:
    """Return the path of all objects of a kind, in one namespace or in all."""
    plural = PRESENTATIONS[Kind(kind_name(kind))].plural
    inside = f"/namespaces/{namespace}" if namespace is not None else ""
    return f"/apis/{GROUP}/{VERSION}{inside}/{plural}"


def object_path(kind: type[R], namespace: str, name: str) -> str:
    """Return the path of one object."""
    return f"{collection_path(kind, namespace)}/{name}"


def read_document(kind: type[R], document: JsonObject) -> R:
    """Return the resource that a document is of. Raises :class:`Unreadable`."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise unreadable(kind, document_name(document), error) from error


def document_name(document: JsonObject) -> str:
    """Return ``namespace/name`` of a document, whatever else is in it."""
    metadata = metadata_of(document)
    return f"{metadata.get('namespace')}/{metadata.get('name')}"


def metadata_of(document: JsonObject) -> JsonObject:
    """Return the metadata of an object or of a list."""
    metadata = document.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def version_of(document: JsonObject) -> str:
    """Return the version of an object or of a list."""
    return str(metadata_of(document).get("resourceVersion") or "")


def items_of(document: JsonObject) -> list[JsonObject]:
    """Return the objects of a list, without ``managedFields``: they are as large as the rest."""
    items = document.get("items")
    found = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    for item in found:
        metadata_of(item).pop("managedFields", None)
    return found


def new_document(resource: Resource) -> JsonObject:
    """Return what creates ``resource``."""
    metadata = resource.metadata
    return {
        **_identity(resource),
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "labels": dict(metadata.labels),
            "annotations": dict(metadata.annotations),
        },
        "spec": _json(resource.spec),
    }


def changed_document(old: JsonObject, resource: Resource) -> JsonObject:
    """Return ``old`` with spec, labels and annotations of ``resource``, and all else as it is."""
    metadata = resource.metadata
    return old | {
        "metadata": metadata_of(old)
        | {"labels": dict(metadata.labels), "annotations": dict(metadata.annotations)},
        "spec": _json(resource.spec),
    }


def status_document(resource: Resource) -> JsonObject:
    """Return what applies the status of ``resource``, if the object is still the one it was."""
    metadata: JsonObject = {
        "name": resource.metadata.name,
        "namespace": resource.metadata.namespace,
    }
    if resource.metadata.uid is not None:
        metadata["uid"] = str(resource.metadata.uid)
    if resource.metadata.resource_version:
        metadata["resourceVersion"] = resource.metadata.resource_version
    return {**_identity(resource), "metadata": metadata, "status": _json(resource.status)}


def title_of(resource: Resource) -> str:
    """Return kind and name, for messages."""
    return f"{resource.kind} {resource.metadata.namespace}/{resource.metadata.name}"


def _identity(resource: Resource) -> JsonObject:
    return {"apiVersion": resource.api_version, "kind": resource.kind}


def _json(model: BaseModel) -> JsonValue:
    document: JsonObject = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return document
