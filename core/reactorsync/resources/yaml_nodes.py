"""YAML as kubectl reads it, with the line of everything.

kubectl follows YAML 1.1: ``Off``, ``no`` or ``y`` without quotes is a boolean and ``010`` is eight.
The same text must mean the same here, so these are read alike, and noted for whoever wonders why
text is refused. Nothing recurses and every size is bounded: manifests come from anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

MAX_DEPTH: Final = 50
MAX_NODES: Final = 1_000_000
"""How many values a text may hold, those that aliases repeat included."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD: Final = "tag:yaml.org,2002:"
_PLAIN_TAGS: Final = frozenset(
    f"{_STANDARD}{name}" for name in ("int", "float", "bool", "null", "timestamp", "map", "seq")
)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_TRUE_WORDS: Final = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE_WORDS: Final = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF"})
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_ODD_INTEGER: Final = re.compile(r"[-+]?(0x[0-9a-fA-F_]+|0b[01_]+|0o?[0-7_]+|[0-9][0-9_]*)")
_FLOAT: Final = re.compile(
    r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)

Scalar = str | int | float | bool | None


class YamlError(ValueError):
    """A text that is no YAML, or none that is accepted; ``line`` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


@dataclass(slots=True)
class Node:
    """A value and the line it begins on.

    Attributes:
        value: a scalar, a list of nodes, or a mapping from text to nodes.
        line: line, counted from 1.
        key_lines: for a mapping, the line of each key.
        note: why a scalar is not the text that it looks like.
        size: how many values it holds, itself included.
        height: how many levels of lists and mappings it holds, itself included.
    """

    value: Scalar | list[Node] | dict[str, Node]
    line: int
    key_lines: dict[str, int] = field(default_factory=dict)
    note: str | None = None
    size: int = 1
    height: int = 0

    def plain(self) -> Any:
        """Return the value as plain Python. Bounded by :data:`MAX_DEPTH`."""
        if isinstance(self.value, dict):
            return {name: part.plain() for name, part in self.value.items()}
        if isinstance(self.value, list):
            return [part.plain() for part in self.value]
        return self.value

    def child(self, key: str | int) -> Node | None:
        """Return the node under a key or an index, ``None`` when there is none."""
        if isinstance(self.value, dict) and isinstance(key, str):
            return self.value.get(key)
        if isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
            return self.value[key]
        return None

    def line_of(self, key: str | int) -> int:
        """Return the line of a key or of an item; of the node itself when it has no such part."""
        part = self.child(key)
        line = self.line if part is None else part.line
        return self.key_lines.get(key, line) if isinstance(key, str) else line


def parse_documents(text: str) -> Iterator[Node]:
    """Yield the documents of a YAML (or JSON) text, without the empty ones.

    Raises:
        YamlError: a syntax error, a key twice in one mapping, a tag, something too deep or too
            large, or an alias to what holds it.
    """
    if text.lstrip().startswith("{"):
        # JSON may be indented with tabs, which YAML does not allow; no string can hold one.
        text = text.replace("\t", " ")
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            document = builder.take(event)
            if document is not None and document.value is not None:
                yield document
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(line, f"is not valid YAML: {error.reason}") from error


def resolve(text: str) -> tuple[Scalar, str | None]:
    """Return what unquoted ``text`` is to kubectl, and a note when that may surprise."""
    if text in _NULLS:
        return None, None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE, None
    if text in _TRUE_WORDS or text in _FALSE_WORDS:
        return text in _TRUE_WORDS, f'`{text}` without quotes is a boolean in YAML: write "{text}"'
    if _INTEGER.fullmatch(text):
        return int(text), None
    if _ODD_INTEGER.fullmatch(text):
        return 0, f"`{text}` is a number in another notation: write plain digits, or quotes"
    if _FLOAT.fullmatch(text):
        digits = text.replace("_", "").lower()
        return float(digits.replace(".inf", "inf").replace(".nan", "nan")), None
    return text, None


class _Builder:
    """Makes nodes of the parser's events, with a stack of its own."""

    def __init__(self) -> None:
        self._open: list[tuple[Node, str | None]] = []
        self._anchors: dict[str, Node | None] = {}
        self._keys: list[tuple[str, int] | None] = []
        self._count = 0

    def take(self, event: yaml.Event) -> Node | None:
        """Take the next event; return a document when it is complete."""
        line = _line_of(event)
        match event:
            case yaml.DocumentStartEvent():
                self._anchors = {}
            case yaml.ScalarEvent():
                return self._add(_scalar(event, line), event)
            case yaml.AliasEvent():
                return self._add(self._alias(str(event.anchor), line), event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._start(event, line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                node, anchor = self._open.pop()
                self._keys.pop()
                _merge(node)
                if anchor is not None:
                    self._anchors[anchor] = node
                return self._add(node, event)
        return None

    def _start(self, event: yaml.CollectionStartEvent, line: int) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise YamlError(line, f"must not be nested deeper than {MAX_DEPTH} levels")
        _check_tag(event.tag, line)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = Node({} if isinstance(event, yaml.MappingStartEvent) else [], line, height=1)
        self._open.append((node, event.anchor))
        self._keys.append(None)

    def _alias(self, name: str, line: int) -> Node:
        if name not in self._anchors:
            raise YamlError(line, f"alias `*{name}` must refer to an anchor before it")
        node = self._anchors[name]
        if node is None:
            raise YamlError(line, f"alias `*{name}` must not refer to what holds it")
        return node

    def _add(self, node: Node, event: yaml.Event) -> Node | None:
        line = _line_of(event)
        if isinstance(event, yaml.ScalarEvent) and event.anchor is not None:
            self._anchors[event.anchor] = node
        if not isinstance(event, yaml.CollectionEndEvent):
            self._count += node.size
        if self._count > MAX_NODES:
            raise YamlError(line, f"must not hold more than {MAX_NODES} values, aliases followed")
        if len(self._open) + node.height > MAX_DEPTH:
            raise YamlError(line, f"must not be nested deeper than {MAX_DEPTH} levels")
        if not self._open:
            return node
        parent, _ = self._open[-1]
        if isinstance(parent.value, list):
            parent.value.append(node)
        else:
            self._add_to_mapping(parent, node, event, line)
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        return None

    def _add_to_mapping(self, parent: Node, node: Node, event: yaml.Event, line: int) -> None:
        assert isinstance(parent.value, dict)  # noqa: S101 - the caller has looked
        key = self._keys[-1]
        if key is None:
            name = _key(node, event, line)
            if name in parent.value:
                raise YamlError(
                    line, f"key `{name}` occurs twice, first on line {parent.key_lines[name]}"
                )
            self._keys[-1] = name, line
            return
        self._keys[-1] = None
        parent.value[key[0]] = node
        parent.key_lines[key[0]] = key[1]


def _line_of(event: yaml.Event) -> int:
    mark = event.start_mark
    return 1 if mark is None else mark.line + 1


def _scalar(event: yaml.ScalarEvent, line: int) -> Node:
    _check_tag(event.tag, line)
    is_text = not event.implicit[0] and event.tag not in _PLAIN_TAGS
    if is_text:
        return Node(event.value, line)
    value, note = resolve(event.value)
    if note is not None and not isinstance(value, bool):
        raise YamlError(line, note)
    return Node(value, line, note=note)


def _check_tag(tag: str | None, line: int) -> None:
    if tag not in (None, "!", f"{_STANDARD}str", *_PLAIN_TAGS):
        shown = str(tag).replace(_STANDARD, "!!")
        raise YamlError(line, f"must not have the tag `{shown}`")


def _key(node: Node, event: yaml.Event, line: int) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise YamlError(line, "a key must be text")
    if node.value is None or isinstance(node.value, bool):
        raise YamlError(line, f"key `{event.value}` must be in quotes to be text")
    return str(event.value)


def _merge(node: Node) -> None:
    """Put in what ``<<`` refers to, where the mapping does not say otherwise itself."""
    if not isinstance(node.value, dict) or "<<" not in node.value:
        return
    line = node.key_lines.pop("<<")
    merged = node.value.pop("<<")
    sources = merged.value if isinstance(merged.value, list) else [merged]
    for source in sources:
        if not isinstance(source.value, dict):
            raise YamlError(line, "`<<` must refer to a mapping, or to a list of them")
        for name, part in source.value.items():
            if name not in node.value:
                node.value[name] = part
                node.key_lines[name] = source.key_lines[name]


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> YamlError:
    lines = text.split("\n")
    mark: Any = error.problem_mark
    line = 1 if mark is None else min(mark.line + 1, len(lines))
    message = f"is not valid YAML: {', '.join(filter(None, (error.context, error.problem)))}"
    if mark is not None and lines[line - 1][mark.column :].startswith("\t"):
        message += "; indent with blanks, not with tabs"
    elif "alias" in message:
        message += "; text that begins with `*` must be in quotes"
    return YamlError(line, message)
