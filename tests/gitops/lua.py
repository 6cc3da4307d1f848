"""Lua as Argo CD runs it: version 5.1, the base and table libraries, and of ``os`` the clock."""

from typing import Any

from lupa.lua51 import LuaRuntime

JsonObject = dict[str, Any]

_AS_ARGO_CD = """
os = {time = os.time, date = os.date}
string, math, io, debug, coroutine, python = nil, nil, nil, nil, nil, nil
getmetatable("").__index = nil
"""


def run_lua(script: str, obj: JsonObject) -> Any:
    """Return what the script returns for ``obj``, as JSON."""
    runtime = LuaRuntime(unpack_returned_tuples=True)
    runtime.execute(_AS_ARGO_CD)
    runtime.globals()["obj"] = runtime.table_from(obj, recursive=True)
    return _to_json(runtime.execute(script))


def _to_json(value: Any) -> Any:
    """Return a table as an object, or as an array where its keys are 1, 2 and so on."""
    if not hasattr(value, "items"):
        return value
    entries = dict(value.items())
    if list(entries) == list(range(1, len(entries) + 1)):
        return [_to_json(item) for item in entries.values()]
    return {key: _to_json(item) for key, item in entries.items()}
