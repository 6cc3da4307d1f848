"""What kopf is spared: objects that are known as they are told."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp.base_protocol import BaseProtocol

from reactorsync_operator.edge.sieve import HAND_ON_SECONDS, SievedList, SievedWatch

JsonObject = dict[str, Any]


def reactor(name: str, version: int = 1) -> JsonObject:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def told(type_: str, name: str, version: int = 1) -> JsonObject:
    return {"type": type_, "object": reactor(name, version)}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def knows_bruce_1(document: Mapping[str, Any]) -> bool:
    metadata = document["metadata"]
    return metadata["name"] == "bruce-1" and int(metadata["resourceVersion"]) <= 5


def stream(*chunks: bytes) -> aiohttp.StreamReader:
    loop = asyncio.get_running_loop()
    reader = aiohttp.StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    for chunk in chunks:
        reader.feed_data(chunk)
    reader.feed_eof()
    return reader


def lines(*events: JsonObject) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


async def passed(watch: aiohttp.StreamReader) -> list[JsonObject]:
    """What a reader sees that reads as kopf does."""
    read = b"".join([chunk async for chunk in watch.iter_chunked(2**20)])
    return [json.loads(line) for line in read.splitlines()]


async def test_of_a_watch_only_what_is_known_is_left_out() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
    news = [
        told("ADDED", "bruce-2"),
        told("MODIFIED", "bruce-1", 6),
        told("DELETED", "bruce-1", 5),
        bookmark,
        expired,
    ]
    known = [told("ADDED", "bruce-1"), told("MODIFIED", "bruce-1", 5)]
    watch = SievedWatch(stream(lines(*known, *news, *known)), knows_bruce_1, clock=Clock())
    assert await passed(watch) == news


async def test_lines_may_come_in_pieces() -> None:
    whole = lines(told("MODIFIED", "bruce-2"), told("MODIFIED", "bruce-1"), told("ADDED", "pt-1"))
    pieces = [whole[at : at + 7] for at in range(0, len(whole), 7)]
    watch = SievedWatch(stream(*pieces), knows_bruce_1, clock=Clock())
    assert await passed(watch) == [told("MODIFIED", "bruce-2"), told("ADDED", "pt-1")]


async def test_now_and_then_something_known_shows_how_far_the_watch_has_come() -> None:
    clock = Clock()

    def later(document: Mapping[str, Any]) -> bool:
        clock.now += HAND_ON_SECONDS / 2
        return knows_bruce_1(document)

    echoes = [told("MODIFIED", "bruce-1", version) for version in range(1, 6)]
    watch = SievedWatch(stream(lines(*echoes)), later, clock=clock)
    assert await passed(watch) == [echoes[1], echoes[3]]


async def test_what_is_no_event_is_for_the_reader_to_judge() -> None:
    watch = SievedWatch(stream(b"<html>\n[]\n{}\n"), knows_bruce_1, clock=Clock())
    assert await watch.read() == b"<html>\n[]\n{}\n"
    assert await watch.read() == b""


async def test_of_a_list_the_rest_stays_as_it_is() -> None:
    metadata = {"resourceVersion": "9", "continue": "there is more"}
    page = {
        "kind": "ReactorList",
        "metadata": metadata,
        "items": [reactor("bruce-1"), reactor("pt")],
    }
    counted: list[tuple[int, bool]] = []

    def count(known: int, is_last: bool) -> None:
        counted.append((known, is_last))

    sieved = SievedList(stream(json.dumps(page).encode()), knows_bruce_1, count)
    assert json.loads(await sieved.read()) == {**page, "items": [reactor("pt")]}
    last = json.dumps({**page, "metadata": {"resourceVersion": "9"}})
    await SievedList(stream(last.encode()), knows_bruce_1, count).read()
    assert counted == [(1, False), (1, True)]


def never(_known: int, _is_last: bool) -> None:
    raise AssertionError("this is no list")


async def test_what_is_no_list_is_for_the_reader_to_judge() -> None:
    refusal = b'{"kind": "Status", "code": 410}'
    assert await SievedList(stream(refusal), knows_bruce_1, never).read() == refusal
