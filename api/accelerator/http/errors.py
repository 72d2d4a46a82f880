"""Errors for requests that break a rule or a limit of HTTP."""

from __future__ import annotations

from tasks.errors import BylineError


class Timeout(BylineError):
    """The client has not sent its whole request within the time limit."""

    code = "timeout"


class HeadersTooLarge(BylineError):
    """The URL, the header fields, the trailers or the HTTP chunk sizes have too many bytes."""

    code = "headers_too_large"


class ExpectationFailed(BylineError):
    """The ``Expect`` header asks for something that Byline does not do."""

    code = "expectation_failed"


class NotSupported(BylineError):
    """The body has a ``Transfer-Encoding`` that Byline does not support."""

    code = "not_supported"


class VersionNotSupported(BylineError):
    """The request's HTTP version is neither 1.0 nor 1.1."""

    code = "version_not_supported"
