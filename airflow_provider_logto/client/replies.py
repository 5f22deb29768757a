"""An HTTP response -> data, or the error that says what is wrong with it."""

from __future__ import annotations

import email.utils
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpx

from airflow_provider_logto.client.refusals import Context, refusal
from airflow_provider_logto.exceptions import AnswerCutShort, UnreadableAnswer

#: Seconds. No server makes anybody wait longer than this: an hour is a maintenance window, a year is an attack.
LONGEST_WAIT = 3600.0

#: Reads the JSON of a 2xx; raises ValueError where it is none.
Decode = Callable[[bytes], Any]


@dataclass(frozen=True)
class Reply:
    """A parsed answer.

    :param data: JSON, text (several writes answer ``Created``), or None where there is no body.
    :param headers: looked up by names in lower case.
    :param request_id: ``Logto-Core-Request-Id``, where it looks like one.
    """

    status: int
    data: Any
    headers: Mapping[str, str]
    request_id: str | None = None

    @property
    def server_time(self) -> float | None:
        """The ``Date`` header as epoch seconds (resolution: one second)."""
        return http_date(self.headers.get("date"))

    @property
    def total(self) -> int | None:
        """``Total-Number``; None when absent or no number that a count can be."""
        raw = (self.headers.get("total-number") or "").strip()
        return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 16 else None

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait as the server asks, from either form of ``Retry-After``; None when absent or unreadable.

        Never more than :data:`LONGEST_WAIT`.
        """
        raw = (self.headers.get("retry-after") or "").strip()
        try:
            seconds = float(raw)
        except ValueError:
            moment = http_date(raw)
            if moment is None:
                return None
            # Against the server's own clock where it shows one: ours may be off.
            seconds = moment - (self.server_time or time.time())
        return min(LONGEST_WAIT, max(0.0, seconds)) if math.isfinite(seconds) else None

    @classmethod
    def peek(cls, response: httpx.Response, decode: Decode = json.loads) -> Reply:
        """Whatever can be made of a response whose body has been read; data is None where nothing can."""
        try:
            return cls(response.status_code, _parse(response, decode), response.headers)
        except (ValueError, RecursionError):
            return cls(response.status_code, None, response.headers)

    @classmethod
    def of(cls, operation: str, response: httpx.Response, context: Context, decode: Decode = json.loads) -> Reply:
        """Parse a response whose body has been read.

        :raises LogtoApiError: the subclass that fits, for every status but 2xx and for bodies no Management API sends.
        """
        status, headers = response.status_code, response.headers
        request_id = context.word(headers.get("logto-core-request-id"))
        if status >= 400:
            reply = cls.peek(response)
            body = reply.data if isinstance(reply.data, dict) else {}
            raise refusal(operation, status, body, context, request_id, reply.retry_after, headers.get("allow"))
        if status >= 300:
            target = context.clean(headers.get("location", "another address"))
            raise UnreadableAnswer(
                operation, status, None, f"it redirects to {target}: put the final address into host", request_id
            )
        if _media(response) in ("text/html", "application/xhtml+xml"):
            raise UnreadableAnswer(
                operation,
                status,
                None,
                "a web page came back instead of data: is host the tenant's Logto endpoint?",
                request_id,
            )
        try:
            return cls(status, _parse(response, decode), headers, request_id)
        except RecursionError:
            raise UnreadableAnswer(operation, status, None, "the JSON is nested too deeply", request_id) from None
        except ValueError:
            # A connection that broke off too early is the usual cause.
            raise AnswerCutShort(operation, status, None, "the body is cut short or not JSON", request_id) from None


def unreadable(operation: str, reply: Reply, reason: str) -> UnreadableAnswer:
    """An answer that is not what a Management API sends.

    :param reason: goes on after "answered 200, but".
    """
    return UnreadableAnswer(operation, reply.status, None, reason, reply.request_id)


def _media(response: httpx.Response) -> str:
    media: str = response.headers.get("content-type", "").split(";")[0]
    return media.strip().lower()


def _parse(response: httpx.Response, decode: Decode) -> Any:
    if not response.content:
        return None
    media = _media(response)
    if media == "application/json" or media.endswith("+json"):
        return (decode if response.status_code < 300 else json.loads)(response.content)
    # Logto writes UTF-8; what else a charset claims is not believed.
    return response.content.decode("utf-8", "replace")


# The date of an answer stays the same for a second.
@lru_cache(maxsize=64)
def http_date(value: str | None) -> float | None:
    """An HTTP date as epoch seconds; None when absent or unreadable."""
    if not value:
        return None
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
