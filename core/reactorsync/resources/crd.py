"""The CustomResourceDefinitions, made from the models: ``python -m reactorsync.resources.crd DIR``.

Kubernetes takes *structural* schemas: no references, no alternatives with null, no closed objects.
Pydantic's JSON Schema is turned into one, and the rules of :mod:`crd_rules` are put in.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from reactorsync.resources.crd_presentation import PRESENTATIONS
from reactorsync.resources.crd_rules import FIELD_RULES, MODEL_RULES, Rule
from reactorsync.resources.meta import GROUP, VERSION, Kind, Model
from reactorsync.resources.reactor import Reactor
from reactorsync.resources.scenario import PERCENT_PATTERN, AnomalyScenario

Schema = dict[str, Any]

_HEADER: Final = "# Made by `make crds` from the models in core/reactorsync/resources.\n"
_LABELS: Final = {
    "app.kubernetes.io/name": "reactorsync",
    "app.kubernetes.io/component": "crds",
    "app.kubernetes.io/part-of": "reactorsync",
}
_ANNOTATIONS: Final = {
    # Deleting a definition deletes every object of it: uninstalling a release must not.
    "helm.sh/resource-policy": "keep",
}
_KEPT: Final = (
    "type",
    "format",
    "enum",
    "default",
    "minimum",
    "maximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
)
_MODELS: Final[Mapping[Kind, type[Model]]] = {
    Kind.REACTOR: Reactor,
    Kind.ANOMALY_SCENARIO: AnomalyScenario,
}


def crd(kind: Kind) -> Schema:
    """Return the definition of ``kind``, as JSON."""
    shown = PRESENTATIONS[kind]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{shown.plural}.{GROUP}",
            "labels": dict(_LABELS),
            "annotations": dict(_ANNOTATIONS),
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.value,
                "listKind": f"{kind.value}List",
                "plural": shown.plural,
                "singular": kind.value.lower(),
                "shortNames": [shown.short_name],
                "categories": ["reactorsync"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root(_MODELS[kind])},
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": path} for path in shown.selectable_fields],
                    "additionalPrinterColumns": [column.to_json() for column in shown.columns],
                }
            ],
        },
    }


def to_yaml(kind: Kind) -> str:
    """Return the definition of ``kind`` as it stands in ``crds/``."""
    document = yaml.dump(crd(kind), Dumper=_Dumper, sort_keys=False, width=100)
    return f"{_HEADER}{document}"


def file_name(kind: Kind) -> str:
    """Return the name of the file that holds the definition of ``kind``."""
    return f"{GROUP}_{PRESENTATIONS[kind].plural}.yaml"


def structural_schema(model: type[Model]) -> Schema:
    """Return the schema of ``model`` as Kubernetes takes it."""
    document = model.model_json_schema(by_alias=True)
    return _object(document, document.get("$defs", {}), model.__name__)


def _root(model: type[Model]) -> Schema:
    root = structural_schema(model)
    properties = root["properties"]
    properties["apiVersion"] = {"description": "Group and version of the object.", "type": "string"}
    properties["kind"] = {"description": "Kind of the object.", "type": "string"}
    properties["metadata"] = {"type": "object"}
    root["required"] = ["spec"]
    return root


def _structural(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return ``schema`` as Kubernetes takes it; only what it knows is taken over."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        siblings = {key: value for key, value in schema.items() if key != "$ref"}
        return _structural({"model": name} | definitions[name] | siblings, definitions)
    if "anyOf" in schema:
        return _choice(schema, definitions)
    if "properties" in schema:
        return _object(schema, definitions, schema["model"])
    result = _plain(schema)
    if "items" in schema:
        result["items"] = _structural(schema["items"], definitions)
        result |= _list_type(schema)
    if isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = _structural(schema["additionalProperties"], definitions)
    return result


def _object(schema: Schema, definitions: Mapping[str, Schema], name: str) -> Schema:
    required = schema.get("required", ())
    properties = {}
    for field, part in schema["properties"].items():
        properties[field] = _structural(part, definitions)
        properties[field] |= _rules(FIELD_RULES.get((name, field), ()))
        if field not in required and "default" not in part and "properties" in properties[field]:
            # Made by a factory: an empty object that takes the defaults of its fields.
            properties[field]["default"] = {}
    result = _plain(schema) | {"properties": properties}
    if "x-map-type" in schema:
        result["x-kubernetes-map-type"] = schema["x-map-type"]
    return result | _rules(MODEL_RULES.get(name, ()))


def _choice(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return a field that may be absent as its type, ``int | str`` as Kubernetes spells it."""
    options = [option for option in schema["anyOf"] if option.get("type") != "null"]
    siblings = {key: value for key, value in schema.items() if key != "anyOf"}
    if siblings.get("default", "") is None:
        del siblings["default"]
    if len(options) == 1:
        return _structural(options[0] | siblings, definitions)
    if [option["type"] for option in options] != ["integer", "string"]:
        raise TypeError(f"a structural schema cannot say {options}")
    return _plain(siblings) | {
        "x-kubernetes-int-or-string": True,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": 4,
        "pattern": PERCENT_PATTERN,
    }


def _plain(schema: Schema) -> Schema:
    result = {}
    if "description" in schema:
        result["description"] = " ".join(schema["description"].replace("``", "`").split())
    return result | {key: schema[key] for key in _KEPT if key in schema}


def _list_type(schema: Schema) -> Schema:
    keys = schema.get("x-list-map-keys")
    if keys is not None:
        return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
    return {"x-kubernetes-list-type": schema.get("x-list-type", "atomic")}


def _rules(rules: Sequence[Rule]) -> Schema:
    return {"x-kubernetes-validations": [rule.to_json() for rule in rules]} if rules else {}


class _Dumper(yaml.SafeDumper):
    """Indents lists, and repeats what is equal instead of naming it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def main(arguments: list[str]) -> None:
    """Write the definitions of all kinds into a directory."""
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    for kind in Kind:
        (directory / file_name(kind)).write_text(to_yaml(kind), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
