"""Errors of what is no HTTP request, or one that breaks a rule of HTTP."""

from __future__ import annotations

from tasks.errors import BylineError


class Timeout(BylineError):
    """The request has not come whole in time."""

    code = "timeout"


class HeadersTooLarge(BylineError):
    """The URL, the header fields, the trailers or the chunk sizes have too many bytes."""

    code = "headers_too_large"


class ExpectationFailed(BylineError):
    """The client expects what is not done here."""

    code = "expectation_failed"


class NotSupported(BylineError):
    """The body is sent in a way that is not understood here."""

    code = "not_supported"


class VersionNotSupported(BylineError):
    """The request is in another version of HTTP."""

    code = "version_not_supported"
