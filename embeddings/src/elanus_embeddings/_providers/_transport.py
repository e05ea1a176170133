"""JSON requests to one URL, sent again when that may help; blocking and not.

A call's course is written once, as a flow that yields what to send and is sent the answer. ``run``
and ``arun`` of an endpoint make its requests. Each opens a connection pool of its own and closes it
again: an object may then be used by many threads, in any event loop and after a fork, and nothing
is left open. The price is one handshake per call, not per batch.
"""

from __future__ import annotations

import codecs
import functools
import json
import re
import ssl
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import tenacity

from elanus.aio import arun, run
from elanus.errors import ParamError, cut, quoted
from elanus_embeddings._http import EmbeddingRequestError, RetryPolicy, Secret
from elanus_embeddings._providers._bounded import ENCODING, AnswerError, Body
from elanus_embeddings._providers._flow import Answer, HttpFlow, Request
from elanus_embeddings._providers._redact import redact

_T = TypeVar("_T")

_LONGEST_READ = 20_000
_SLOWEST = 10  # timeouts until an answer has to have ended that has begun
_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS = 408, 429

# OpenAI answers 429 for an exhausted account as well, which no waiting mends.
_FINAL = "insufficient_quota"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One URL of one provider.

    Attributes:
        provider: its name in messages.
        url: where requests are posted.
        key: the bearer token, or None for a server that wants none.
        key_hint: how a user gives the key.
        timeout: seconds to wait for a connection, and for each piece of an answer; ten times as
            long for all of it.
        retry: when to try again.
    """

    provider: str
    url: str
    key: Secret | None
    key_hint: str
    timeout: float
    retry: RetryPolicy

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.url)
            # What a request asks of a host: that it can be shown, and that it has an address.
            _ = url.host, url.raw_host.decode().encode("idna")
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ParamError(
                f"base_url: {quoted(self.url)} is no valid URL: {cut(str(error))}"
            ) from None

    def run(self, flow: HttpFlow[_T]) -> _T:
        """Drive a flow to its result.

        Raises:
            EmbeddingRequestError: a request failed for good.
        """
        retrying = tenacity.Retrying(**self._retrying())
        with _opened(httpx.Client, self._options()) as client:
            return run(flow, functools.partial(retrying, self._post, client))

    async def arun(self, flow: HttpFlow[_T]) -> _T:
        """Drive a flow to its result without blocking the event loop: otherwise as ``run``."""
        retrying = tenacity.AsyncRetrying(**self._retrying())
        async with _opened(httpx.AsyncClient, self._options()) as client:
            return await arun(flow, functools.partial(retrying, self._apost, client))

    def failure(
        self,
        reason: str,
        request: Request,
        *,
        fault: int | None = None,
        status: int | None = None,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> EmbeddingRequestError:
        """Return the error that names this endpoint, and the texts of a request."""
        return EmbeddingRequestError(
            f"{self.provider} ({cut(self.url)}) {reason}",
            request.places,
            fault,
            request.name,
            status=status,
            transient=transient,
            retry_after=retry_after,
        )

    def excerpt(self, text: str) -> str:
        """Return the beginning of what a server said, on one line and without the key."""
        # Redacted before it is cut, or the cut could leave half a key.
        text = text[:_LONGEST_READ]
        if self.key is not None:
            text = redact(text, self.key.reveal())
        return cut(" ".join(text.split()))

    def _options(self) -> dict[str, Any]:
        return {
            "headers": {"Accept-Encoding": ENCODING},
            "auth": None if self.key is None else _Bearer(self.key),
            "timeout": self.timeout,
            "verify": _certificates(),
        }

    def _retrying(self) -> dict[str, Any]:
        return {
            "retry": tenacity.retry_if_exception(self._worth_retrying),
            "stop": tenacity.stop_after_attempt(self.retry.attempts),
            "wait": self._wait,
            "reraise": True,
        }

    def _worth_retrying(self, error: BaseException) -> bool:
        if not isinstance(error, EmbeddingRequestError) or not error.transient:
            return False
        return error.retry_after is None or error.retry_after <= self.retry.longest_wait

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, EmbeddingRequestError) and error.retry_after is not None:
            return error.retry_after
        backoff = tenacity.wait_random_exponential(self.retry.first_wait, self.retry.longest_wait)
        return backoff(state)

    def _post(self, client: httpx.Client, request: Request) -> Answer:
        return self._checked(self._exchanged(client, request), request)

    async def _apost(self, client: httpx.AsyncClient, request: Request) -> Answer:
        return self._checked(await self._aexchanged(client, request), request)

    def _exchanged(
        self, client: httpx.Client, request: Request
    ) -> httpx.Response | EmbeddingRequestError:
        try:
            with client.stream("POST", self.url, json=request.payload) as response:
                body = self._body(response, request)
                for piece in response.iter_raw():
                    if not body.add(piece):
                        break
            return _whole(response, body.content())
        except (httpx.RequestError, UnicodeError) as error:  # of a proxy's name
            return self._unanswered(error, request)
        except AnswerError as error:
            return self._unreadable(error, response, request)

    async def _aexchanged(
        self, client: httpx.AsyncClient, request: Request
    ) -> httpx.Response | EmbeddingRequestError:
        try:
            async with client.stream("POST", self.url, json=request.payload) as response:
                body = self._body(response, request)
                async for piece in response.aiter_raw():
                    if not body.add(piece):
                        break
            return _whole(response, body.content())
        except (httpx.RequestError, UnicodeError) as error:  # of a proxy's name
            return self._unanswered(error, request)
        except AnswerError as error:
            return self._unreadable(error, response, request)

    def _body(self, response: httpx.Response, request: Request) -> Body:
        return Body(
            len(request.places),
            response.headers.get("Content-Encoding", ""),
            is_error=not response.is_success,
            patience=_SLOWEST * self.timeout,
        )

    # Errors are made where there is something to hide, and raised here, where there is not: an
    # error raised in an `except` clause would carry the library's, and with it the request's
    # headers, as its context; and reports of a crash show the variables of the functions above it.

    def _checked(self, outcome: httpx.Response | EmbeddingRequestError, request: Request) -> Answer:
        result = self._read(outcome, request) if isinstance(outcome, httpx.Response) else outcome
        if isinstance(result, EmbeddingRequestError):
            raise result
        return result

    def _read(self, response: httpx.Response, request: Request) -> Answer | EmbeddingRequestError:
        body = _decoded(response.content)
        if not response.is_success:
            return self._refused(response, body, request)
        if body is not _MALFORMED:
            return Answer(body, response.status_code)
        return self.failure(
            f"answered {response.status_code} to {{texts}}, but not with JSON: "
            + quoted(self.excerpt(_text(response))),
            request,
            status=response.status_code,
        )

    def _unanswered(
        self, error: httpx.RequestError | UnicodeError, request: Request
    ) -> EmbeddingRequestError:
        kind = type(error).__name__
        reason = f"did not answer to {{texts}}: {kind}"
        if isinstance(error, httpx.TimeoutException):
            reason += f" after {self.timeout:g} s; a larger timeout= waits longer"
        elif str(error):
            reason += f" ({self.excerpt(str(error))})"
        return self.failure(reason, request, transient=isinstance(error, httpx.TransportError))

    def _unreadable(
        self, error: AnswerError, response: httpx.Response, request: Request
    ) -> EmbeddingRequestError:
        status = response.status_code
        reason = f"answered {status} to {{texts}}, with an answer {self.excerpt(str(error))}"
        return self.failure(reason, request, status=status)

    def _refused(
        self, response: httpx.Response, body: Any, request: Request
    ) -> EmbeddingRequestError:
        status = response.status_code
        said = self.excerpt(_said(response, body))
        phrase = self.excerpt(response.reason_phrase)
        reason = f"answered {status} {phrase} to {{texts}}: {said}"
        if status in {401, 403}:
            reason += f"; check the API key: {self.key_hint}"
        retried = status in {_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS} or status >= 500
        if not retried or _FINAL in _text(response):
            return self.failure(reason, request, status=status)
        after = _retry_after(response.headers.get("Retry-After"))
        if after is not None:
            reason += f"; it asks to wait {cut(f'{after:.0f}')} s"
        return self.failure(reason, request, status=status, transient=True, retry_after=after)


class _Bearer(httpx.Auth):
    """Sets the header on the request itself, so that the client's own headers hold no key."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        yield request


def _opened(kind: Callable[..., _T], options: Mapping[str, Any]) -> _T:
    """A client of httpx, which reads from the environment what proxies there are.

    Raises:
        ParamError: it cannot use one of them.
    """
    try:
        return kind(**options)
    except (httpx.InvalidURL, ImportError, ValueError) as error:
        raise ParamError(
            "a proxy that the environment names, as HTTPS_PROXY or ALL_PROXY, cannot be used: "
            f"{cut(str(error))}"
        ) from None


def _whole(response: httpx.Response, content: bytes) -> httpx.Response:
    """An answer with its body, as it is after unpacking."""
    headers = response.headers.copy()
    for name in ("Content-Encoding", "Content-Length", "Transfer-Encoding"):
        headers.pop(name, None)
    said = {k: v for k, v in response.extensions.items() if k == "reason_phrase"}
    return httpx.Response(response.status_code, headers=headers, content=content, extensions=said)


@functools.cache
def _certificates() -> ssl.SSLContext:
    # Loading the certificates takes longer than all the rest of opening a client.
    return httpx.create_ssl_context()


_MALFORMED = object()

# Of texts on the web. Python has others, and punycode takes minutes for a MiB.
_CHARSETS = re.compile(
    r"(utf-(8|16|32)|ascii|iso8859|cp\d|gb|big5|shift_jis|euc_|iso2022|koi8|mac)"
)


def _decoded(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return _MALFORMED


def _text(response: httpx.Response) -> str:
    """What a server said; in UTF-8, if it names an encoding that it cannot be read in."""
    with suppress(Exception):  # the codec is the server's choice, and may raise any
        if _CHARSETS.match(codecs.lookup(response.encoding or "").name):
            return response.text
    return response.content.decode(errors="replace")


def _said(response: httpx.Response, body: Any) -> str:
    """The words of an error; all of the answer, where that cannot be told."""
    if body is not _MALFORMED:
        with suppress(RecursionError):  # to write JSON takes more of the stack than to read it
            return _message(body)
    return _text(response)


def _message(body: Any) -> str:
    """Return the words of an error, which every provider keeps under another name."""
    if isinstance(body, list) and len(body) == 1:  # as Gemini wraps it
        return _message(body[0]) if isinstance(body[0], dict) else json.dumps(body)
    if not isinstance(body, dict):
        return json.dumps(body, ensure_ascii=False)
    for name in ("error", "message", "detail"):
        value = body.get(name)
        if isinstance(value, dict) and isinstance(value.get("message"), str):
            return str(value["message"])
        if value:
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(body, ensure_ascii=False)


def _retry_after(value: str | None) -> float | None:
    """Read the header: seconds, or a date (RFC 9110, section 10.2.3); None if it is neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    # A number or a zone that no date can have.
    except (ValueError, OverflowError, TypeError):
        return None
    # A date without a zone is in UTC, by the same RFC.
    date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())
