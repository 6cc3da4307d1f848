"""What ``-f`` names: files, folders with all below them, standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reactorsync.resources import Resource
from reactorsync.resources.manifest import ManifestError, load_manifests
from reactorsync_local.errors import BadInput

STANDARD_INPUT: Final = "-"
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


@dataclass(frozen=True, slots=True)
class Manifest:
    """An object as declared, and where."""

    source: str
    resource: Resource


def read_manifests(names: Sequence[str], *, namespace: str | None = None) -> list[Manifest]:
    """Read every object of the files, in order, and check each.

    A ``namespace`` is given to every object that declares none.

    Raises:
        BadInput: a file cannot be read, holds a problem, or nothing is declared at all. All
            problems of all files are told together, as ``file:line: field: what is allowed``.
    """
    manifests: list[Manifest] = []
    problems: list[str] = []
    for source, text in _texts(names):
        try:
            found = load_manifests(text, source=source)
        except ManifestError as error:
            problems += [str(problem) for problem in error.problems]
        else:
            if namespace is not None:
                for resource in found:
                    problems += _elsewhere(source, resource, namespace)
                found = [_placed(resource, namespace) for resource in found]
            manifests += [Manifest(source, resource) for resource in found]
    problems += _declared_twice(manifests)
    if problems:
        raise BadInput(
            f"{_count(len(problems), 'problem')} found, so nothing was done", details=problems
        )
    if not manifests:
        raise BadInput(f"nothing is declared in {', '.join(names)}")
    return manifests


def _elsewhere(source: str, resource: Resource, namespace: str) -> Iterator[str]:
    meta = resource.metadata
    if "namespace" in meta.model_fields_set and meta.namespace != namespace:
        yield (
            f"{source}: metadata.namespace: for {resource.kind} {meta.name} namespace "
            f"{meta.namespace} is declared, -n says {namespace}"
        )


def _placed(resource: Resource, namespace: str) -> Resource:
    meta = resource.metadata.model_copy(update={"namespace": namespace})
    return resource.model_copy(update={"metadata": meta})


def _declared_twice(manifests: Sequence[Manifest]) -> Iterator[str]:
    first: dict[tuple[str, str, str], str] = {}
    for manifest in manifests:
        resource = manifest.resource
        key = (resource.kind, resource.metadata.namespace, resource.metadata.name)
        if key in first:
            yield (
                f"{manifest.source}: metadata.name: {resource.kind} {resource.metadata.name} is "
                f"declared in {first[key]} already"
            )
        else:
            first[key] = manifest.source


def _texts(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        if name == STANDARD_INPUT:
            yield "standard input", sys.stdin.read()
            continue
        for path in _files(Path(name)):
            try:
                yield str(path), path.read_text(encoding="utf-8")
            except OSError as error:
                raise BadInput(f"cannot read {path}: {error.strerror}") from error
            except UnicodeDecodeError as error:
                raise BadInput(f"cannot read {path}: it is not UTF-8 text") from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in _SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not found:
        raise BadInput(f"no manifest (.yaml, .yml, .json) in {path} or below")
    return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
