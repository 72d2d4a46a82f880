"""``/v1/attributions``: parse, ask the outbox, wait, answer. Knows HTTP's words, no server."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType
from redis import RedisError

from api.answers import Answer, answer
from api.attendant import Attendant
from api.directory import Directory
from api.entry import Entry
from api.errors import NotFound, NotJSON, check_json, problem
from api.exchange import PATH
from api.guard import Guard
from api.halves import mark_halves
from api.keys import Key
from api.options import Options, flag, wait_of
from api.outbox import Outbox
from api.schemas import AttributionRequest, Item, MessageIn, Pending, Reason, Refused
from api.strict import has_doubled_key
from celery_app.settings import Settings
from tasks.errors import BylineError, InvalidMessage, Unavailable
from tasks.messages import Attribution, Failure, Outcome, message_id, parse_text
from tasks.promises import Promises

logger = logging.getLogger(__name__)

#: Seconds the broker is given to take a message whose answer is promised for later.
ACCEPT_S = 5.0

_request = msgspec.json.Decoder(AttributionRequest[msgspec.Raw])
_message = msgspec.json.Decoder(MessageIn)
#: The keys of a request for one message, of one for many, and of one of those.
_ONE_KEYS = (b'"text"', b'"deadline_ms"', b'"priority"')
_MANY_KEYS = (b'"messages"', *_ONE_KEYS[1:])
_MESSAGE_KEYS = (b'"text"', b'"ref"')
_HALF, _HALF_PAIR = "text holds half of a surrogate pair", b"\\ud800"
_DOUBLED = "an object names a key twice"
#: Hexadecimal digits of an id.
_ID = re.compile(r"[0-9a-f]{32}")


class Attributions:
    """The resource. Its methods raise ``BylineError`` where the answer is a problem."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        directory: Directory,
        promises: Promises,
        guard: Guard,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._directory = directory
        self._promises = promises
        self._guard = guard

    async def create(
        self, query: Mapping[str, str], content_type: str, body: bytes, key: Key | None
    ) -> Answer:
        """Attribute a message or many: 200, or 202 for what takes longer than the wait."""
        asked = _parse(content_type, body)
        options = self._options(query, asked)
        messages = asked.messages or []
        if len(messages) > self._settings.max_bulk:
            raise InvalidMessage(f"{len(messages)} messages; at most {self._settings.max_bulk}")
        await self._guard.let_through(key, max(1, len(messages)))
        if asked.text is not UNSET:
            return await self._one(asked.text, options)
        return await self._many(messages, options)

    def attend(self, content_type: str, body: bytes, answered: Callable[[Answer], None]) -> bool:
        """Do as :meth:`create` does, without a coroutine, for one message and with no query.

        Returns False where there are many: then nothing was done. Raises as :meth:`create`.
        """
        asked = _parse(content_type, body)
        if asked.text is UNSET:
            return False
        options = self._options({}, asked)
        [entry] = self._outbox.ask([self._entry(asked.text, options)])
        Attendant(self, self._outbox.loop, entry, options, answered)
        return True

    async def read(self, id: str, query: Mapping[str, str]) -> Answer:
        """Return the attribution ``id``: 200, or 202 while it is pending."""
        explain = flag(query, "explain")
        if not _ID.fullmatch(id):
            raise NotFound("this is no id of an attribution")
        try:
            outcome = await self._promises.find(id)
        except KeyError:
            raise NotFound("no attribution has this id: unknown, or kept no longer") from None
        except RedisError:
            raise Unavailable("the cache can't be reached") from None
        return _answer_one(id, outcome, explain)

    async def _one(self, text: str, options: Options) -> Answer:
        [(entry, outcome)] = await self._wait_for([self._entry(text, options)], options)
        return self.answer(entry, outcome, options)

    def answer(self, entry: Entry, outcome: Outcome | None, options: Options) -> Answer:
        """Return the answer to one message; None as outcome: safe in the queue, ask again."""
        # Only who is refused is told: to find out takes a thirtieth of what a message costs here.
        wait_s = self._outbox.wait_for(entry.version) if isinstance(outcome, Failure) else 0.0
        return _answer_one(entry.id, outcome, options.explain, wait_s)

    async def _many(self, messages: Sequence[msgspec.Raw], options: Options) -> Answer:
        parsed = [self._parse_message(raw, options) for raw in messages]
        entries = [entry for entry, _ in parsed if isinstance(entry, Entry)]
        answered = iter(await self._wait_for(entries, options))
        items = [
            Refused(entry, ref)
            if isinstance(entry, Reason)
            else _item(*next(answered), ref, options.explain)
            for entry, ref in parsed
        ]
        pending = any(isinstance(item, Pending) for item in items)
        return answer({"attributions": items}, 202 if pending else 200)

    def _parse_message(
        self, raw: msgspec.Raw, options: Options
    ) -> tuple[Entry | Reason, str | UnsetType]:
        """Return one message of many, or why it is none: it must not fail its neighbours."""
        try:
            message = _message.decode(raw)
            if has_doubled_key(bytes(raw), _MESSAGE_KEYS):
                return Reason(InvalidMessage.code, _DOUBLED), message.ref
        except msgspec.ValidationError as error:
            return Reason(InvalidMessage.code, str(error)), UNSET
        except msgspec.DecodeError:  # all else was seen to with the body as a whole
            return Reason(InvalidMessage.code, _HALF), UNSET
        except UnicodeDecodeError:
            return Reason(InvalidMessage.code, "text is not UTF-8"), UNSET
        except RecursionError:
            return Reason(InvalidMessage.code, "nested too deeply"), UNSET
        try:
            return self._entry(message.text, options), message.ref
        except InvalidMessage as error:
            return Reason(error.code, str(error)), message.ref

    def _entry(self, text: str, options: Options) -> Entry:
        valid = parse_text(text, self._settings.max_characters)
        version = options.model or self._directory.version_for(valid)
        return Entry(
            message_id(version, valid),
            valid,
            version,
            options.model is not None,
            options.explain,
            options.priority,
            options.deadline,
            options.limit,
        )

    def _options(self, query: Mapping[str, str], asked: AttributionRequest[msgspec.Raw]) -> Options:
        wait = wait_of(query, self._settings)
        limit = None if asked.deadline_ms is None else asked.deadline_ms / 1000
        return Options(
            explain=flag(query, "explain"),
            model=self._model(query),
            priority=asked.priority,
            deadline=None if limit is None else time.time() + limit,
            limit=limit,
            patience=time.monotonic() + (wait if limit is None else min(wait, limit)),
            final=limit is not None and limit <= wait,
        )

    def _model(self, query: Mapping[str, str]) -> str | None:
        """Return which version must answer. Raises ``UnknownModel`` and ``NoModel``."""
        version = query.get("model")
        if version is not None:
            self._directory.check(version)
        return version

    async def _wait_for(
        self, entries: Sequence[Entry], options: Options
    ) -> list[tuple[Entry, Outcome | None]]:
        """Return the entries to answer with; None as outcome: safe in the queue, ask again.

        Raises:
            Overloaded: more are waiting than may. None was taken.
        """
        joined = self._outbox.ask(entries)
        for entry in joined:
            await entry.done.wait(options.patience)
        return await self.outcomes(joined, options)

    async def outcomes(
        self, joined: Sequence[Entry], options: Options
    ) -> list[tuple[Entry, Outcome | None]]:
        """Return entries that nobody waits for any longer; None as outcome as above."""
        late = [entry for entry in joined if not entry.done.is_set()]
        refused = await self._late(late, options) if late else {}
        return [(entry, entry.outcome or refused.get(entry.id)) for entry in joined]

    async def _late(self, late: Sequence[Entry], options: Options) -> dict[str, Failure]:
        """Return why some that nobody waits for any longer fail; the others are promised."""
        if options.final:
            return {entry.id: self._outbox.passed(entry) for entry in late}
        try:
            # Marked before it is sent, so that the worker, done with it, finds the mark.
            await asyncio.wait_for(self._promises.mark([e.id for e in late]), ACCEPT_S)
        except (RedisError, TimeoutError):
            return _failures(late, Unavailable("the cache, where the answer would be, is gone"))
        self._outbox.hasten(late)
        until = time.monotonic() + ACCEPT_S
        for entry in late:
            await entry.sent.wait(until)
        unsent = [entry for entry in late if not entry.sent.is_set()]
        await self._unmark([*unsent, *(entry for entry in late if entry.done.is_set())])
        return _failures(unsent, Unavailable("the broker did not take the message in time"))

    async def _unmark(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        try:
            await asyncio.wait_for(self._promises.unmark([e.id for e in entries]), ACCEPT_S)
        except (RedisError, TimeoutError) as error:
            logger.warning("marks of messages that are not pending are left behind: %s", error)


def _failures(entries: Sequence[Entry], error: BylineError) -> dict[str, Failure]:
    return {entry.id: Failure(entry.id, error.code, str(error)) for entry in entries}


def _parse(content_type: str, body: bytes) -> AttributionRequest[msgspec.Raw]:
    """Return what the body asks for.

    Raises:
        WrongType, NotJSON, InvalidMessage: it can't be understood.
    """
    check_json(content_type)
    try:
        asked = _decoded(body)
        doubled = has_doubled_key(body, _MANY_KEYS if asked.text is UNSET else _ONE_KEYS)
    except msgspec.ValidationError as error:
        raise InvalidMessage(str(error)) from None
    except msgspec.DecodeError as error:
        raise NotJSON(str(error)) from None
    except UnicodeDecodeError:
        raise NotJSON("the body is not UTF-8") from None
    except RecursionError:
        raise NotJSON("the body is nested too deeply") from None
    if doubled:
        raise NotJSON(_DOUBLED)
    return asked


def _decoded(body: bytes) -> AttributionRequest[msgspec.Raw]:
    """Return the request. Of many messages, half of a surrogate pair leaves the others valid.

    Raises ``msgspec.DecodeError``, ``UnicodeDecodeError`` or ``RecursionError``.
    """
    try:
        return _request.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        marked = mark_halves(body)
        asked = None if marked is None else _request.decode(marked.document)
        if marked is None or asked is None or not asked.messages:
            raise
    pieces = [bytes(raw).replace(marked.escaped, _HALF_PAIR) for raw in asked.messages]
    asked.messages = [msgspec.Raw(piece) for piece in pieces]
    return asked


def _answer_one(id: str, outcome: Outcome | None, explain: bool, wait_s: float = 0.0) -> Answer:
    if outcome is None:
        location = f"{PATH}/{id}"
        return answer(Pending(id, location), 202, ("Location", location))
    if isinstance(outcome, Failure):
        return problem(outcome.code, outcome.detail, wait_s)
    return answer(_shown(outcome, explain))


def _item(entry: Entry, outcome: Outcome | None, ref: str | UnsetType, explain: bool) -> Item:
    if outcome is None:
        return Pending(entry.id, f"{PATH}/{entry.id}", ref=ref)
    if isinstance(outcome, Failure):
        return Refused(Reason(outcome.code, outcome.detail), ref)
    return msgspec.structs.replace(_shown(outcome, explain), ref=ref)


def _shown(attribution: Attribution, explain: bool) -> Attribution:
    """Evidence is shown to those who asked for it, also where the cache has it for another."""
    if explain or attribution.evidence is UNSET:
        return attribution
    return msgspec.structs.replace(attribution, evidence=UNSET)
