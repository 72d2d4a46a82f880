"""The client for asyncio programs. Byline's workers find the author of each text."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict, Unpack

from prometheus_client import CollectorRegistry

from celery_app.client.attribution_client import AttributionClient, RequestOptions
from celery_app.client.entry import LOWEST_PRIORITY, Entry
from celery_app.client.factory import make_client
from celery_app.client.redis.model_registry import ModelRegistry
from celery_app.client.yielding import Yielder
from celery_app.settings import Settings
from celery_app.settings.secret_url import SecretURL
from monitoring.instruments.metrics import ApiMetrics
from tasks.errors import BrokerUnavailable, BylineError, NoAnswer, NoModel
from tasks.messages import Attribution, Failure, Outcome

#: Largest number of texts of one call that were sent and have no outcome yet. At this number, the
#: call waits before it sends more texts, so that other calls have room. A dispatcher holds 4,096
#: messages by default.
WINDOW = 1024
#: Number of texts that a call passes to the dispatcher at once.
PART = 128

_CLOSED = Failure("", NoAnswer.code, "the client was closed")
_ERRORS = {kind.code: kind for kind in BylineError.__subclasses__()}


class CallOptions(TypedDict, total=False):
    """The options of one call of a client. Every option has a default."""

    #: Whether each attribution has its evidence; False by default.
    explain: bool
    #: Milliseconds from the call until an answer is useless; None: no deadline.
    deadline_ms: float | None
    #: 0, the default, is the most urgent priority, and 9 the least urgent.
    priority: int
    #: The model version that must answer; None: the version that new messages go to.
    version: str | None


class Client:
    """Finds the authors of texts, for asyncio programs.

    Use a client in one event loop, as ``async with Client(redis_url) as client``. Any number of
    coroutines can call the client at the same time.
    """

    def __init__(self, redis_url: str, **settings: Any) -> None:
        """Makes a client for the broker at ``redis_url``, such as ``redis://127.0.0.1:6390/0``.

        ``settings`` are fields of ``Settings``, such as ``cache_url``. No setting is read from the
        environment.

        Raises:
            SettingsError: a setting contradicts another, or a URL can't be used.
        """
        self._settings = Settings(redis_url=SecretURL(redis_url), **settings)
        self._inner: AttributionClient | None = None
        #: For each call in progress, the entry or the failure of each text.
        self._calls: dict[int, list[Entry | Failure]] = {}

    async def __aenter__(self) -> Client:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Starts the client on the running event loop.

        If Redis can't be reached, this method raises no error. The client tries to connect until it
        succeeds.
        """
        if self._inner is not None:
            raise RuntimeError("the client is open already")
        inner = make_client(self._settings, ApiMetrics(CollectorRegistry()))
        try:
            await asyncio.to_thread(inner.model_registry.start)
        except BaseException:
            await inner.close()
            raise
        inner.dispatcher.start()
        self._inner = inner

    async def close(self) -> None:
        """Stops the client. Each text without an outcome gets the failure ``no_answer``."""
        inner, self._inner = self._inner, None
        if inner is None:
            return
        await inner.close()
        for accepted in self._calls.values():
            for each in accepted:
                if isinstance(each, Entry) and not each.done.is_set():
                    each.settle(_CLOSED._replace(id=each.id))

    def current_version(self) -> str:
        """Returns the model version that new messages go to, unless a call names another.

        Raises:
            BrokerUnavailable: the broker can't be reached, and no version is known.
            NoModel: no worker has announced this version.
        """
        registry = self._opened().model_registry
        try:
            return registry.current().version
        except NoModel as error:
            raise _no_model(registry, error) from None

    def workers(self, version: str) -> int:
        """Returns how many workers of a model version were alive at the last check of the broker.

        The broker is checked once a second. If it can't be reached, the last number stays.
        """
        return self._opened().model_registry.workers_of(version)

    def states(self) -> dict[str, str]:
        """Returns the name and the state of each part that an attribution needs.

        A name is, for example, ``broker`` or ``worker``. A state is ``ok``, or says what is wrong.
        """
        return self._opened().model_registry.parts()

    async def attribute(
        self, texts: Iterable[str], **options: Unpack[CallOptions]
    ) -> list[Attribution]:
        """Returns the attribution of each text, in order. Keyword arguments are ``CallOptions``.

        Raises:
            BylineError: the error of the first text that has no attribution. A note on the
                error says which text this is.
        """
        attributions = []
        for index, outcome in enumerate(await self.attribute_each(texts, **options)):
            if isinstance(outcome, Failure):
                raise _error(outcome, index)
            attributions.append(outcome)
        return attributions

    async def attribute_each(
        self, texts: Iterable[str], **options: Unpack[CallOptions]
    ) -> list[Outcome]:
        """Returns an attribution or a ``Failure`` for each text, in order.

        If one text fails, the other texts can still get attributions. Keyword arguments are
        ``CallOptions``.
        """
        if isinstance(texts, str):
            raise TypeError("texts is one string; it must be a list of strings")
        request = _request_options(**options)
        accepted: list[Entry | Failure] = []
        self._calls[id(accepted)] = accepted
        try:
            inner = await self._send(list(texts), request, accepted)
            await _wait_for(accepted, request.wait_until)
        finally:
            del self._calls[id(accepted)]
        return [_outcome(inner, each) for each in accepted]

    async def _send(
        self, texts: Sequence[str], options: RequestOptions, accepted: list[Entry | Failure]
    ) -> AttributionClient:
        """Passes all texts to the dispatcher, at most :data:`WINDOW` unanswered texts at a time.

        For each text, appends to ``accepted`` an entry (the message and, later, its outcome), or a
        failure if the text was not accepted. Returns the client that owns the dispatcher.
        """
        inner = self._opened()
        turns = Yielder()
        for start in range(0, len(texts), PART):
            if start >= WINDOW:
                first = start - WINDOW
                await _wait_for(accepted[first : first + PART], options.wait_until)
            part = texts[start : start + PART]
            open_still = self._inner is inner
            accepted += _ask(inner, part, options) if open_still else [_CLOSED] * len(part)
            if turns.is_due():
                await turns.rest()
        return inner

    def _opened(self) -> AttributionClient:
        if self._inner is None:
            raise RuntimeError("the client is not open: use `async with`")
        return self._inner


def _request_options(
    explain: bool = False,
    deadline_ms: float | None = None,
    priority: int = 0,
    version: str | None = None,
) -> RequestOptions:
    if not 0 <= priority <= LOWEST_PRIORITY:
        raise ValueError(f"priority is {priority}; it must be from 0 to {LOWEST_PRIORITY}")
    limit = None if deadline_ms is None else deadline_ms / 1000
    return RequestOptions(
        explain=explain,
        model=version,
        priority=priority,
        deadline=None if limit is None else time.time() + limit,
        deadline_s=limit,
        # Without a deadline the wait still ends: the dispatcher gives up chunks without a reply.
        wait_until=math.inf if limit is None else time.monotonic() + limit,
        deadline_first=True,
    )


def _ask(
    inner: AttributionClient, texts: Sequence[str], options: RequestOptions
) -> list[Entry | Failure]:
    """Passes texts to the dispatcher. Returns an entry or a failure for each text, in order.

    An entry is a message that is on its way to an outcome. An invalid text gets a failure. If the
    dispatcher refuses the texts, every text gets a failure.
    """
    parsed = [_entry(inner, text, options) for text in texts]
    entries = [each for each in parsed if isinstance(each, Entry)]
    try:
        joined = iter(inner.dispatcher.ask(entries))
    except BylineError as error:
        return [each if isinstance(each, Failure) else _failure(error, each.id) for each in parsed]
    return [each if isinstance(each, Failure) else next(joined) for each in parsed]


def _entry(inner: AttributionClient, text: str, options: RequestOptions) -> Entry | Failure:
    try:
        if options.model is not None:
            inner.model_registry.check(options.model)
        return inner.entry(text, options)
    except NoModel as error:
        return _failure(_no_model(inner.model_registry, error))
    except BylineError as error:
        return _failure(error)


def _no_model(registry: ModelRegistry, error: NoModel) -> BylineError:
    """Returns ``BrokerUnavailable`` if the broker can't be reached; otherwise returns ``error``."""
    if registry.workers() is None:
        return BrokerUnavailable("the broker can't be reached")
    return error


async def _wait_for(accepted: Iterable[Entry | Failure], until: float) -> None:
    for each in accepted:
        if isinstance(each, Entry):
            await each.done.wait(until)


def _outcome(inner: AttributionClient, accepted: Entry | Failure) -> Outcome:
    if isinstance(accepted, Failure):
        return accepted
    return accepted.outcome or inner.dispatcher.deadline_failure(accepted)


def _failure(error: BylineError, id: str = "") -> Failure:
    return Failure(id, error.code, str(error))


def _error(failure: Failure, index: int) -> BylineError:
    """Returns the exception for a failure. ``index`` is the index of the text in the call."""
    error = _ERRORS.get(failure.code, BylineError)(failure.detail)
    error.code = failure.code
    error.add_note(f"this is the error of texts[{index}]")
    return error
