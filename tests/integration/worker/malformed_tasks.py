"""Tasks that no Celery client sends: unreadable tasks, and odd tasks that can be run."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from uuid import uuid4

from tasks.messages import REPLIES

TRACEBACK = "Traceback (most recent call last)"
SECRET = "a text that nobody may read"


def nested(depth: int, around: str = "[]") -> Any:
    """Returns JSON with ``depth`` levels. As text, since Python could not encode so many."""
    return Raw(around[0] * depth + around[1] * depth)


class Raw(str):
    """JSON text that :func:`dumps` leaves unchanged."""


def dumps(value: Any) -> str:
    """Returns JSON as ``json.dumps`` does, but leaves ``Raw`` unchanged."""
    raw: dict[str, str] = {}

    def mark(value: Any) -> Any:
        if isinstance(value, Raw):
            raw[mark_of := f"raw {len(raw)}"] = value
            return mark_of
        if isinstance(value, dict):
            return {key: mark(each) for key, each in value.items()}
        return [mark(each) for each in value] if isinstance(value, list) else value

    text = json.dumps(mark(value))
    for mark_of, value in raw.items():
        text = text.replace(json.dumps(mark_of), value)
    return text


def body(payload: Any) -> str:
    return b64encode(dumps(payload).encode()).decode()


def task(
    headers: Any = None, properties: Any = None, payload: Any = None, **others: Any
) -> dict[str, Any]:
    """Returns a task as Celery sends it, with the given parts replaced. ``...``: no such part."""
    id = str(uuid4())
    own_headers = {"lang": "py", "task": "byline.attribute", "id": id, "root_id": id, "retries": 0}
    own_properties = {
        "correlation_id": id,
        "reply_to": str(uuid4()),
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "attributions"},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": str(uuid4()),
    }
    whole = {
        "body": body([[[SECRET]], {}, {"callbacks": None}] if payload is None else payload),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": merged(own_headers, headers),
        "properties": merged(own_properties, properties),
        **others,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def merged(own: dict[str, Any], given: Any) -> Any:
    if not isinstance(given, dict):
        return own if given is None else given
    return {name: value for name, value in {**own, **given}.items() if value is not ...}


#: Tasks that can't be run, by the name of their mistake.
BROKEN: dict[str, Any] = {
    "empty": b"",
    "binary": bytes(range(256)),
    "scalar": b"1",
    "null": b"null",
    "list": b"[]",
    "text": json.dumps(SECRET).encode(),
    "not closed": b'{"body": "',
    "twice": json.dumps(task()).encode() * 2,
    "utf-16": json.dumps(task()).encode("utf-16"),
    "not UTF-8": json.dumps(task()).encode().replace(b"byline.attribute", b"byline.\xff"),
    "long number": task(headers={"retries": Raw("9" * 5_000)}),
    "deep": b"[" * 100_000,
    "no id": task(headers={"id": ...}),
    "id null": task(headers={"id": None}),
    "id number": task(headers={"id": 7}),
    "id empty": task(headers={"id": ""}),
    "id list": task(headers={"id": [1]}),
    "id deep": task(headers={"id": nested(900)}),
    "id half": task(headers={"id": "half \ud83d"}),
    "no headers": task(headers=...),
    "headers null": {**task(), "headers": None},
    "headers list": task(headers=[1]),
    "headers text": task(headers="x"),
    "no task": task(headers={"task": ...}),
    "task null": task(headers={"task": None}),
    "task list": task(headers={"task": ["byline.attribute"]}),
    "task object": task(headers={"task": {}}),
    "no properties": task(properties=...),
    "properties list": task(properties=[]),
    "properties number": task(properties=1),
    "info list": task(properties={"delivery_info": [1]}),
    "info text": task(properties={"delivery_info": "x"}),
    "body no base64": task(body="no base64!"),
    "body number": task(body=5),
    "body list": task(body=["x"]),
    "body no JSON": task(body=b64encode(b"{").decode()),
    "body scalar": task(payload=5),
    "body empty list": task(payload=[]),
    "body object": task(payload={"a": 1, "b": 2, "c": 3}),
    "body of four": task(payload=[[["x"]], {}, {}, {}]),
    "body deep": task(payload=[[nested(20_000)], {}, {}]),
    "body long number": task(payload=[[Raw("9" * 5_000)], {}, {}]),
    "body not UTF-8": task(body=b64encode(b'[[["\xff"]], {}, {}]').decode()),
    "encoding unknown": task(properties={"body_encoding": "rot13"}),
    "encoding list": task(properties={"body_encoding": ["base64"]}),
    "type pickle": task(**{"content-type": "application/x-python-serialize"}),
    "type unknown": task(**{"content-type": "text/odd"}),
    "type list": task(**{"content-type": ["application/json"]}),
    "compressed": task(headers={"compression": "zlib"}),
    "compression": task(headers={"compression": {"a": 1}}),
    "args object": task(payload=[{"messages": ["x"]}, {}, {}]),
    "args text": task(payload=["xyz", {}, {}]),
    "kwargs list": task(payload=[[["x"]], ["y"], {}]),
    "kwargs null": task(payload=[[["x"]], None, {}]),
    "embed list": task(payload=[[["x"]], {}, ["y"]]),
    "embed text": task(payload=[[["x"]], {}, "y"]),
    "callbacks text": task(payload=[[["x"]], {}, {"callbacks": "y"}]),
    "chord number": task(payload=[[["x"]], {}, {"chord": 5}]),
    "eta word": task(headers={"eta": "tomorrow"}),
    "eta number": task(headers={"eta": 5}),
    "eta list": task(headers={"eta": [1]}),
    "eta early": task(headers={"eta": "0001-01-01T00:00:00+00:00"}),
    "eta late": task(headers={"eta": "9999-12-31T23:59:59-12:00"}),
    "expires word": task(headers={"expires": "never"}),
    "expires object": task(headers={"expires": {"a": 1}}),
    "retries text": task(headers={"retries": "many"}),
    "timelimit number": task(headers={"timelimit": 5}),
    "timelimit texts": task(headers={"timelimit": ["a", "b"]}),
    "shadow object": task(headers={"shadow": {"a": 1}}),
    "header deep": task(headers={"extra": nested(995)}),
    "root_id deep": task(headers={"root_id": nested(800)}),
    "stamps list": task(headers={"stamped_headers": "x", "stamps": ["x"]}),
    "typed unknown": task(headers={"extra": {"__type__": "odd", "__value__": 1}}),
    "typed list": task(headers={"extra": {"__type__": [], "__value__": 1}}),
    "typed decimal": task(headers={"extra": {"__type__": "decimal", "__value__": "x"}}),
    "typed bytes": task(headers={"extra": {"__type__": "base64", "__value__": 5}}),
}
#: Tasks that are odd, but can be run.
ODD: dict[str, Any] = {
    "tag missing": task(properties={"delivery_tag": ...}),
    "tag number": task(properties={"delivery_tag": 5}),
    "tag empty": task(properties={"delivery_tag": ""}),
    "tag half": task(properties={"delivery_tag": "\ud83d"}),
    "tag deep": task(properties={"delivery_tag": nested(900)}),
    "info missing": task(properties={"delivery_info": ...}),
    "info null": task(properties={"delivery_info": None}),
    "info empty": task(properties={"delivery_info": {}}),
    "route elsewhere": task(properties={"delivery_info": {"exchange": "", "routing_key": "far"}}),
    "route object": task(properties={"delivery_info": {"exchange": "", "routing_key": {}}}),
    "exchange unknown": task(properties={"delivery_info": {"exchange": "x", "routing_key": "y"}}),
    "reply_to object": task(properties={"reply_to": {"a": 1}}),
    "reply_to half": task(properties={"reply_to": f"{REPLIES}\ud83d"}),
    "reply_to string": task(properties={"reply_to": f"{REPLIES}text"}),
    "priority text": task(properties={"priority": "high"}),
    "priority huge": task(properties={"priority": 10**30}),
    "header NaN": task(headers={"extra": float("nan")}),
    "header deep": task(headers={"extra": nested(950)}),
    "request ids null": task(headers={"byline_request_ids": None}),
    "request ids number": task(headers={"byline_request_ids": 5}),
    "request ids text": task(headers={"byline_request_ids": "x"}),
    "request ids object": task(headers={"byline_request_ids": {"x": 1}}),
    "request ids few": task(headers={"byline_request_ids": []}),
    "request ids many": task(headers={"byline_request_ids": ["x"] * 30_000}),
    "request id number": task(headers={"byline_request_ids": [5]}),
    "request id list": task(headers={"byline_request_ids": [["x"]]}),
    "request id deep": task(headers={"byline_request_ids": [nested(940)]}),
    "request id long": task(headers={"byline_request_ids": [SECRET.replace(" ", "") * 100]}),
    "request id with spaces": task(headers={"byline_request_ids": [SECRET]}),
    "request id lines": task(headers={"byline_request_ids": [f"x\n{TRACEBACK}\x1b[2J"]}),
    "request id half": task(headers={"byline_request_ids": ["half \ud83d"]}),
    "header half": task(headers={"argsrepr": "(['half \ud83d'],)"}),
    "header typed": task(headers={"extra": {"__type__": "bytes", "__value__": "x"}}),
    "body named": task(**{"content-encoding": "binary"}),
    "half": task(payload=[[["good", "half \ud83d"]], {}, {}]),
    "texts of all kinds": task(payload=[[[1, None, {}, [], 1.5, True, "good"]], {}, {}]),
    "messages text": task(payload=[["xyz"], {}, {}]),
    "messages missing": task(payload=[[], {}, {}]),
    "argument unknown": task(payload=[[["x"]], {"odd": 1}, {}]),
    "deadlines few": task(payload=[[["x"]], {"deadlines": []}, {}]),
    "deadlines NaN": task(payload=[[["x"]], {"deadlines": [float("nan")]}, {}]),
    "version half": task(payload=[[["x"]], {"version": "\ud83d"}, {}]),
}


def raw(given: Any) -> bytes:
    return given if isinstance(given, bytes) else dumps(given).encode()
