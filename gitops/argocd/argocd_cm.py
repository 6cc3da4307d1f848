"""The keys of Argo CD's ConfigMap ``argocd-cm`` that make it understand ReactorSync's resources.

``python gitops/argocd/argocd_cm.py`` prints a patch for it, made from ``resource_customizations``::

    kubectl -n argocd patch configmap argocd-cm --patch-file gitops/argocd/argocd-cm.yaml
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

CUSTOMIZATIONS = Path(__file__).parent / "resource_customizations"


class _Block(str):
    """Text that YAML shows as it is written."""


class _Dumper(yaml.SafeDumper):
    """Writes scripts as block scalars."""


_Dumper.add_representer(
    _Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
)


def config_map() -> dict[str, object]:
    """Return the patch: health and actions of every kind, under the keys Argo CD reads."""
    data: dict[str, str] = {}
    for kind in sorted(path for path in CUSTOMIZATIONS.glob("*/*") if path.is_dir()):
        name = f"{kind.parent.name}_{kind.name}"
        data[f"resource.customizations.health.{name}"] = _read(kind / "health.lua")
        data[f"resource.customizations.actions.{name}"] = _Block(_dump(_actions(kind / "actions")))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": data,
    }


def to_yaml() -> str:
    """Return the patch as YAML."""
    return "# Made by `python gitops/argocd/argocd_cm.py`.\n" + _dump(config_map())


def _actions(folder: Path) -> dict[str, object]:
    scripts = sorted(folder.glob("*/action.lua"))
    return {
        "discovery.lua": _read(folder / "discovery.lua"),
        "definitions": [
            {"name": script.parent.name, "action.lua": _read(script)} for script in scripts
        ],
    }


def _read(path: Path) -> _Block:
    return _Block(path.read_text(encoding="utf-8"))


def _dump(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=100)


if __name__ == "__main__":
    sys.stdout.write(to_yaml())
