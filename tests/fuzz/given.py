"""Generates what the tests send: valid, nearly valid and invalid JSON, and odd requests."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

ATTRIBUTIONS = b"/v1/attributions"
JSON = b"application/json"

#: Any Python string. UTF-8 can't encode some of them, which have halves of surrogate pairs.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30) | st.text(
    "a\x00\ufeff\ud800\udbff\udc00\udfff", max_size=4
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, -0.0]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, ANY_TEXT)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=8,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=250)
MESSAGES = st.fixed_dictionaries({"text": TEXTS}, optional={"ref": TEXTS})
OPTIONS = {"deadline_ms": st.sampled_from([1, 5, 10_000]), "priority": st.integers(0, 9)}
GOOD = st.fixed_dictionaries({"text": TEXTS}, optional=OPTIONS) | st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES, max_size=8)}, optional=OPTIONS
)
#: Objects with the right names, whose values may be of a wrong type.
NEARLY_MESSAGES = st.dictionaries(st.sampled_from(["text", "ref"]), SCALARS | TEXTS) | VALUES
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS | VALUES,
        "messages": st.lists(NEARLY_MESSAGES | MESSAGES, max_size=12) | VALUES,
        "deadline_ms": NUMBERS | VALUES,
        "priority": NUMBERS | VALUES,
        "Text": TEXTS,
    },
)


def words(line: bytes) -> st.SearchStrategy[bytes]:
    """Returns one word of ``line``."""
    return st.sampled_from(line.split())


def encoded(value: Any, ascii: bool = True) -> bytes:
    """Returns JSON, or Python's extensions of JSON: NaN, Infinity, halves of surrogate pairs."""
    return json.dumps(value, ensure_ascii=ascii).encode("utf-8", "surrogatepass")


@st.composite
def spoiled(draw: st.DrawFn, whole: bytes) -> bytes:
    """Returns ``whole`` with one change."""
    here = draw(st.integers(0, len(whole)))
    there = draw(st.integers(here, min(len(whole), here + 20)))
    before, part, after = whole[:here], whole[here:there], whole[there:]
    return draw(
        st.sampled_from(
            [
                before,
                before + after,
                before + part * 3 + after,
                before + bytes(byte ^ 0x80 for byte in part) + after,
                before + part[::-1] + after,
                before + b"\x00" + after,
                before + draw(st.binary(max_size=8)) + after,
                before + draw(st.sampled_from(PIECES)) + after,
                b"\xef\xbb\xbf" + whole,
                whole + whole,
                whole.decode("utf-8", "replace").encode("utf-16"),
                b"[" * 1_500 + whole + b"]" * 1_500,
            ]
        )
    )


#: Pieces that parsers often fail on.
PIECES = [
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"9" * 5_000,
    b"0.1e-400",
    b'"\\ud800"',
    b'"\\u0000"',
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\xaf",
    b"\xfe\xff",
    b'"text":"twice",',
    b'{"text":"within"}',
    b"[" * 900,
    b'{"a":' * 900,
    b"//",
    b"/*",
    b"\\",
    b"\\u",
]

#: Values of the header Content-Type.
CONTENT_TYPES = st.sampled_from(
    [
        JSON,
        b"application/json; charset=utf-8",
        b"application/json;charset=utf-16",
        b"APPLICATION/JSON ; charset=\xff",
        b"application/json, application/json",
        b"application/problem+json",
        b"text/json",
        b"multipart/form-data; boundary=x",
        b"application/x-www-form-urlencoded",
        b"*/*",
        b";",
        b"",
        b"\xe4\xf6\xfc",
    ]
)
VALUE = st.binary(max_size=30).map(lambda raw: raw.translate(None, b"\r\n"))
NAME = st.text("abcdefghijklmnopqrstuvwxyz-_!#$%&'*+.^`|~09", min_size=1, max_size=20).map(
    str.encode
)
#: Odd headers, except headers that say where the request ends: test_bodies.py has these (FRAMES).
ODD_HEADERS = st.one_of(
    st.sampled_from(
        [
            (b"Accept", b"text/html;q=x"),
            (b"Accept-Charset", b"utf-7"),
            (b"Accept-Encoding", b"br;q=2, gzip;q=nan"),
            (b"Authorization", b"Bearer"),
            (b"Authorization", b"Basic \xff\xfe"),
            (b"Connection", b"close, keep-alive, x"),
            (b"Content-Encoding", b"gzip"),
            (b"Content-Length-", b"-1"),
            (b"Cookie", b'a="\\377; b=\x80; =;;'),
            (b"Expect", b"100-continue"),
            (b"Expect", b"the worst"),
            (b"Forwarded", b"for=\x80;proto=gopher"),
            (b"Host", b"elsewhere.example:99999"),
            (b"Host", b"a b/\\@[::1"),
            (b"If-Match", b"*"),
            (b"If-Modified-Since", b"Mon, 99 Foo 99999 99:99:99 GMT"),
            (b"If-None-Match", b"*"),
            (b"If-Unmodified-Since", b"Thu, 01 Jan 1970 00:00:00 GMT"),
            (b"Keep-Alive", b"timeout=-1"),
            (b"Max-Forwards", b"0"),
            (b"Origin", b"null"),
            (b"Origin", b"http://[::1\x80"),
            (b"Range", b"bytes=5-1"),
            (b"Range", b"bytes=999999999999999999999-"),
            (b"Range", b"bytes=" + b"0-," * 50),
            (b"TE", b"trailers"),
            (b"Trailer", b"Content-Length"),
            (b"X-Forwarded-Prefix", b"/\x80"),
            (b"X-HTTP-Method-Override", b"DELETE"),
            (b"X-Long", b"x" * 10_000),
        ]
    ),
    st.tuples(NAME.map(lambda name: b"x-" + name), VALUE),
    st.tuples(st.sampled_from([b"accept", b"authorization", b"cookie", b"host", b"range"]), VALUE),
)
HEADERS = st.lists(ODD_HEADERS, max_size=4)

METHODS = st.just(b"GET") | words(
    b"GET HEAD POST PUT PATCH DELETE OPTIONS TRACE LINK LOCK PROPFIND REPORT PURGE SEARCH"
)
ODD_METHODS = METHODS | st.sampled_from(
    [b"BREW", b"get", b"P\xd6ST", b"M-SEARCH", b"PRI", b"G\x00T", b"GET" * 400, b"=", b"{}"]
)

_SEGMENTS = st.one_of(
    words(
        b"v1 attributions models healthz readyz docs openapi.json swagger-ui.css dist "
        b"index.html 00000000000000000000000000000000 . .. %2e%2e %2E %2f %00 %0a %ff "
        b"%ed%a0%80 %F0%9F%92%A9 % %zz * ~root ;a=b @ : C: \\ \\..\\.."
    ),
    st.binary(max_size=6),
)
PATHS = st.builds(
    lambda start, segments, end: start + b"/".join(segments) + end,
    st.sampled_from(
        [b"/", b"/", b"/v1/", b"/v1/attributions/", b"/docs/", b"//", b"", b"http://x/"]
    ),
    st.lists(_SEGMENTS, max_size=4),
    st.sampled_from([b"", b"", b"/", b"//", b"?", b"#", b"?#"]),
)

_NUMBER_TEXTS = words(
    b"0 0.0 0.01 1e-9 -0 -1 -0.0 nan inf -inf 1e999 1_0 \xd9\xa3 0x1 +1 .5 5. 10.0001 1,5 %20 true"
)
_BOOLEANS = st.sampled_from([b"true", b"false", b"TRUE", b"True", b"1", b"yes", b"", b"true%00"])
_QUERY_ITEMS = st.one_of(
    st.builds(b"wait=%s".__mod__, _NUMBER_TEXTS | VALUE),
    st.builds(b"explain=%s".__mod__, _BOOLEANS | VALUE),
    st.sampled_from([b"wait", b"explain", b"wait[]=1", b"%77ait=0", b"", b"=", b";", b"%", b"&&"]),
    VALUE,
)
QUERIES = st.lists(_QUERY_ITEMS, max_size=4).map(b"&".join)
#: Mostly short waits, since long waits would make the tests slow.
WAITS = st.sampled_from([b"?wait=0", b"?wait=0.01", b"?wait=1", b"?wait=1&explain=true"])
