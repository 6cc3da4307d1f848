"""Objects as YAML and JSON documents that ``apply`` and kubectl read back."""

from __future__ import annotations

import json
from collections.abc import Sequence

import yaml

from reactorsync.resources import Resource
from reactorsync.resources.manifest import to_manifest


def to_yaml(resources: Sequence[Resource]) -> str:
    """Return a YAML document for each object."""
    return "---\n".join(to_manifest(resource) for resource in resources)


def to_json(resources: Sequence[Resource], *, as_list: bool) -> str:
    """Return indented JSON: one object, or a Kubernetes ``List`` of them."""
    items = [yaml.safe_load(to_manifest(resource)) for resource in resources]
    content = {"apiVersion": "v1", "kind": "List", "items": items} if as_list else items[0]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
