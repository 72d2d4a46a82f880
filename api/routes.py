"""``/v1/attributions``: parse, ask the outbox, wait, answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from flask import Blueprint, Response, request
from msgspec import UNSET
from redis import RedisError

from api.directory import Directory
from api.errors import NotFound, NotJSON, WrongType, reply, respond
from api.outbox import Entry, Outbox
from api.schemas import AttributionRequest, Item, MessageIn, Pending, Reason, Refused
from celery_app.settings import Settings
from tasks.cache import AttributionCache
from tasks.errors import BylineError, DeadlinePassed, InvalidMessage, Unavailable
from tasks.messages import Attribution, Failure, message_id, parse_text

#: Seconds the broker is given to take a message whose answer is promised for later.
ACCEPT_S = 5.0

_request = msgspec.json.Decoder(AttributionRequest[msgspec.Raw])
_message = msgspec.json.Decoder(MessageIn)


@dataclass(frozen=True, slots=True)
class Services:
    """What the endpoints work with."""

    settings: Settings
    outbox: Outbox
    directory: Directory
    cache: AttributionCache


@dataclass(frozen=True, slots=True)
class Options:
    """What a request asks for beside the attribution itself."""

    explain: bool
    priority: int
    #: Unix time, in seconds.
    deadline: float | None
    #: Monotonic time until which the caller waits, in seconds.
    patience: float


def blueprint(services: Services) -> Blueprint:
    """Return the endpoints that attribute."""
    routes = Blueprint("attributions", __name__)

    @routes.post("/v1/attributions")
    def create() -> Response:
        options, body = _parse(services.settings)
        if body.messages is UNSET:
            return _one(services, body.text, options)
        return _many(services, body.messages, options)

    @routes.get("/v1/attributions/<id>")
    def read(id: str) -> Response:
        try:
            outcome = services.cache.find(id)
        except KeyError:
            raise NotFound("no attribution has this id: unknown, or kept no longer") from None
        except RedisError:
            raise Unavailable("the cache can't be reached") from None
        if outcome is None:
            return _pending(Pending(id, _location(id)))
        if isinstance(outcome, Failure):
            return respond(outcome.code, outcome.detail)
        return reply(_shown(outcome, _flag("explain")))

    return routes


def _one(services: Services, text: str, options: Options) -> Response:
    [entry] = _wait_for(services, [_entry(services, text, options)], options)
    if entry.outcome is None:
        return _pending(Pending(entry.id, _location(entry.id)))
    if isinstance(entry.outcome, Failure):
        return respond(entry.outcome.code, entry.outcome.detail)
    return reply(_shown(entry.outcome, options.explain))


def _many(services: Services, messages: Sequence[msgspec.Raw], options: Options) -> Response:
    if len(messages) > services.settings.max_bulk:
        raise InvalidMessage(f"{len(messages)} messages; at most {services.settings.max_bulk}")
    parsed = [_parse_message(services, raw, options) for raw in messages]
    entries = [entry for entry, _ in parsed if isinstance(entry, Entry)]
    answered = iter(_wait_for(services, entries, options))
    items = [
        _item(next(answered) if isinstance(entry, Entry) else entry, ref, options.explain)
        for entry, ref in parsed
    ]
    pending = any(isinstance(item, Pending) for item in items)
    return reply({"attributions": items}, 202 if pending else 200)


def _parse(settings: Settings) -> tuple[Options, AttributionRequest[msgspec.Raw]]:
    """Return what the request asks for.

    Raises:
        WrongType, NotJSON, InvalidMessage: it can't be understood.
    """
    if request.mimetype != "application/json":
        raise WrongType("send the body as Content-Type: application/json")
    try:
        body = _request.decode(request.get_data(cache=False))
    except msgspec.ValidationError as error:
        raise InvalidMessage(str(error)) from None
    except msgspec.DecodeError as error:
        raise NotJSON(str(error)) from None
    except UnicodeDecodeError:
        raise NotJSON("the body is not UTF-8") from None
    deadline = None if body.deadline_ms is None else body.deadline_ms / 1000
    options = Options(
        explain=_flag("explain"),
        priority=body.priority,
        deadline=None if deadline is None else time.time() + deadline,
        patience=time.monotonic() + min(_wait(settings), deadline or float("inf")),
    )
    return options, body


def _parse_message(
    services: Services, raw: msgspec.Raw, options: Options
) -> tuple[Entry | Reason, str | msgspec.UnsetType]:
    """Return one message of many, or why it is none: it must not fail its neighbours."""
    try:
        message = _message.decode(raw)
    except msgspec.ValidationError as error:
        return Reason(InvalidMessage.code, str(error)), UNSET
    except UnicodeDecodeError:
        return Reason(InvalidMessage.code, "text is not UTF-8"), UNSET
    try:
        return _entry(services, message.text, options), message.ref
    except InvalidMessage as error:
        return Reason(error.code, str(error)), message.ref


def _entry(services: Services, text: str, options: Options) -> Entry:
    valid = parse_text(text, services.settings.max_characters)
    id = message_id(services.directory.current().version, valid)
    return Entry(id, valid, options.explain, options.priority, options.deadline)


def _wait_for(services: Services, entries: Sequence[Entry], options: Options) -> list[Entry]:
    """Return the entries to answer with, each settled or safe in the queue.

    Raises:
        Overloaded: more are waiting than may.
        Unavailable: one of them is neither settled nor could it be queued.
    """
    joined = services.outbox.ask(entries)
    for entry in joined:
        entry.done.wait(max(0.0, options.patience - time.monotonic()))
    late = [entry for entry in joined if not entry.done.is_set()]
    if late and options.deadline is None:
        _promise(services, late)
    elif late and options.deadline <= time.time():
        raise DeadlinePassed("the deadline passed before the message was attributed")
    return joined


def _promise(services: Services, entries: Sequence[Entry]) -> None:
    """See to it that these are answered even if this process dies now."""
    services.outbox.hasten(entries)
    until = time.monotonic() + ACCEPT_S
    for entry in entries:
        entry.sent.wait(max(0.0, until - time.monotonic()))
        if not entry.sent.is_set() and not entry.done.is_set():
            raise Unavailable("the broker did not take the message in time")
    try:
        services.cache.mark_pending(entry.id for entry in entries)
    except RedisError:
        raise Unavailable("the cache can't be reached") from None


def _item(answered: Entry | Reason, ref: str | msgspec.UnsetType, explain: bool) -> Item:
    if isinstance(answered, Reason):
        return Refused(answered, ref)
    outcome = answered.outcome
    if outcome is None:
        return Pending(answered.id, _location(answered.id), ref=ref)
    if isinstance(outcome, Failure):
        return Refused(Reason(outcome.code, outcome.detail), ref)
    return msgspec.structs.replace(_shown(outcome, explain), ref=ref)


def _shown(attribution: Attribution, explain: bool) -> Attribution:
    """Evidence is shown to those who asked for it, also where the cache has it for another."""
    if explain or attribution.evidence is UNSET:
        return attribution
    return msgspec.structs.replace(attribution, evidence=UNSET)


def _pending(pending: Pending) -> Response:
    response = reply(pending, 202)
    response.headers["Location"] = pending.location
    return response


def _location(id: str) -> str:
    return f"/v1/attributions/{id}"


def _wait(settings: Settings) -> float:
    given = request.args.get("wait")
    if given is None:
        return settings.wait_s
    try:
        wait = float(given)
    except ValueError:
        wait = float("nan")
    if not 0 <= wait <= settings.wait_max_s:
        raise InvalidMessage(f"wait must be a number of seconds from 0 to {settings.wait_max_s:g}")
    return wait


def _flag(name: str) -> bool:
    given = request.args.get(name, "false")
    if given not in ("true", "false"):
        raise InvalidMessage(f"{name} must be true or false")
    return given == "true"
