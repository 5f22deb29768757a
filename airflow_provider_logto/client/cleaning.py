"""What a server says, made fit for exceptions, events and logs: short, printable, and without our secrets."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import quote, quote_plus

#: Characters of a server's words that are kept.
LONGEST = 500
#: Tokens that are remembered; a client of a triggerer lives for months and sees one an hour.
_REMEMBERED = 32
#: Logto's ids begin with any letter of their alphabet, ``_`` and ``-`` included.
_WORD = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:/-]{0,99}")


def cleaned(text: str, secrets: Iterable[str]) -> str:
    """A server's words: control characters removed, then secrets replaced by ``***``, then shortened."""
    printable = "".join(character for character in text if character.isprintable())
    for secret in sorted(secrets, key=len, reverse=True):
        printable = printable.replace(secret, "***")
    return printable if len(printable) <= LONGEST else f"{printable[:LONGEST]}..."


class Secrets:
    """The secrets of one client: announced for masking before they are used, and removed from what a server says.

    :param secret: the application's secret; ``basic`` is what it becomes in a token request.
    :param on_secret: awaited with each value before its first use.
    """

    def __init__(self, secret: str, basic: str, on_secret: Callable[[str], Awaitable[None]]) -> None:
        self._on_secret = on_secret
        # In JSON, a form or a URL it may look different.
        written = {secret, quote_plus(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], basic}
        self._own = frozenset(written - {""})
        self._announced: set[str] = set()
        # One after the other: before Airflow 3.2 two at once mix up what they send to the supervisor.
        self._announcing = asyncio.Lock()
        self._tokens: deque[str] = deque(maxlen=_REMEMBERED)

    async def announce_own(self) -> None:
        """Announce the application's secret in every form that a server may repeat."""
        async with self._announcing:
            for value in sorted(self._own - self._announced):
                await self._on_secret(value)
                self._announced.add(value)

    async def announce(self, token: str) -> None:
        """Announce a token; does nothing for one announced lately."""
        async with self._announcing:
            if token not in self._tokens:
                await self._on_secret(token)
                self._tokens.append(token)

    def clean(self, text: str) -> str:
        """See :func:`cleaned`."""
        return cleaned(text, self._own.union(self._tokens))

    def word(self, text: object) -> str | None:
        """A code or an id, where it is one (letters, digits, ``_.:/-``; at most 100) and holds no secret; else None."""
        if not isinstance(text, str) or not _WORD.fullmatch(text) or self.clean(text) != text:
            return None
        return text
