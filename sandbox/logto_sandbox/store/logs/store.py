"""The audit log: rows in columns, an order by time, payloads made when somebody reads them.

A generated row costs some 30 bytes, an appended one the JSON text of its payload besides.
"""

from __future__ import annotations

import json
import random
import secrets
from array import array
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from logto_sandbox.store.logs import rows as log_rows
from logto_sandbox.store.logs.generate import Generator

ID_LENGTH = 21
_ID_SPACE = 36**ID_LENGTH
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_CHUNK = 50_000
_GONE = -1
# Rows by which a tie group turns from one page to the next: PostgreSQL orders ties anew for each LIMIT/OFFSET,
# and a walk over 500 tied rows was seen to miss 11.
_TIE_TURN = 3
_SERIES = {"audit": log_rows.AUDIT, "webhook": log_rows.WEBHOOK}


class LogQuery(NamedTuple):
    """Which rows are meant: window in epoch microseconds (``low`` inclusive, ``high`` exclusive), exact filters."""

    series: str = "audit"
    low_us: float | None = None
    high_us: float | None = None
    key: str | None = None
    user: str | None = None
    application: str | None = None
    hook: str | None = None


class LogStore:
    """All log rows of one tenant. Not thread-safe: used on the server's event loop only.

    :param tenant_id: ``tenantId`` of every row
    """

    def __init__(self, tenant_id: str = "default") -> None:
        self.tenant_id = tenant_id
        self._salt = secrets.randbelow(_ID_SPACE // 36) * 36 + 7  # coprime to 36, so that ids can be read back
        self._times = array("q")
        self._keys, self._users, self._apps, self._hooks = (array("I") for _ in range(4))
        self._numbers = array("I")
        self._stored: dict[int, str] = {}
        self._given_ids: dict[int, str] = {}
        self._by_given_id: dict[str, int] = {}
        self._latest = 0
        self._names: list[str | None] = [None]
        self._name_index: dict[str | None, int] = {None: 0}
        self._order: tuple[array[int], array[int]] = (array("I"), array("I"))
        self._matches: OrderedDict[LogQuery, array[int]] = OrderedDict()

    # -- writing

    def append(self, key: str, payload: Mapping[str, Any], created_at_ms: float) -> str:
        """Add one row.

        :param key: e.g. ``ExchangeTokenBy.ClientCredentials``
        :param payload: as the API shows it (``key``, ``result``, ``userId``, ``applicationId``, ``hookId``...)
        :param created_at_ms: epoch ms; the fraction holds microseconds
        :return: the row's id
        """
        moment = int(created_at_ms * 1000)
        if float(created_at_ms).is_integer():  # a row written by the server has microseconds
            moment += random.randrange(1000)  # noqa: S311
            if moment // 1000 == self._latest // 1000:
                moment = min(max(moment, self._latest + 1), self._latest // 1000 * 1000 + 999)
            self._latest = moment
        return self._add_stored(moment, key, payload)

    def append_row(self, row: Mapping[str, Any]) -> str:
        """Add one row as the API shows it (``key``, ``payload``, ``createdAt`` in ms, and ``id`` if it has one)."""
        made = self._add_stored(int(row["createdAt"] * 1000), row["key"], row["payload"])
        if "id" not in row:
            return made
        number = len(self._times) - 1
        self._given_ids[number] = row["id"]
        self._by_given_id[row["id"]] = number
        return str(row["id"])

    def _add_stored(self, moment: int, key: str, payload: Mapping[str, Any]) -> str:
        row = len(self._times)
        self._stored[row] = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        names = [self._name(payload.get(field)) for field in ("userId", "applicationId", "hookId")]
        self._columns([moment], [self._name(key)], *([name] for name in names), [0])
        insort(self._order[log_rows.series(key)], row, key=self._times.__getitem__)
        self._matches.clear()
        return self._id(row)

    def insert(self, spec: log_rows.LogSpec) -> dict[str, int | None]:
        """Add many generated rows.

        :return: ``count``, and ``first`` and ``last`` in epoch ms (None when count is 0)
        """
        moments = log_rows.moments(spec)
        generator = Generator(spec, self._name)
        for start in range(0, spec.count, _CHUNK):
            chunk = moments[start : start + _CHUNK]
            columns = generator.columns(start, len(chunk))
            first = len(self._times)
            self._columns(chunk, *columns)
            for row, key in enumerate(columns.keys, first):
                self._order[generator.series(key)].append(row)
        self._sort()
        return {
            "count": spec.count,
            "first": moments[0] // 1000 if moments else None,
            "last": moments[-1] // 1000 if moments else None,
        }

    def delete(self, low_ms: float | None = None, high_ms: float | None = None, limit: int | None = None) -> int:
        """Remove rows, newest first.

        :param low_ms: from this createdAt (inclusive)
        :param high_ms: before this createdAt (exclusive)
        :param limit: at most this many of each series
        :return: how many were removed
        """
        removed = 0
        for rows in self._order:
            low, high = self._span(rows, low_ms and low_ms * 1000, high_ms and high_ms * 1000)
            low = max(low, high - limit) if limit is not None else low
            for row in rows[low:high]:
                self._times[row] = _GONE
                self._stored.pop(row, None)
            removed += high - low
            del rows[low:high]
        self._matches.clear()
        return removed

    # -- reading

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._order)

    def count(self, query: LogQuery = LogQuery()) -> int:  # noqa: B008 - immutable
        """Number of matching rows."""
        _, low, high = self._found(query)
        return high - low

    def page(self, offset: int, limit: int, query: LogQuery = LogQuery()) -> list[dict[str, Any]]:  # noqa: B008
        """One page, newest first; rows of equal time come in an order of the page's own.

        :return: rows ``{tenantId, id, key, payload, createdAt}``
        """
        rows, low, high = self._found(query)
        start, stop = high - min(offset, high - low), high - min(offset + limit, high - low)
        turn = _TIE_TURN * (offset // limit) if limit else 0
        return [self._row(rows[self._turned(rows, low, high, n, turn)]) for n in range(start - 1, stop - 1, -1)]

    def get(self, log_id: str) -> dict[str, Any] | None:
        """The row with this id, of either series; None when there is none."""
        row = self._by_given_id.get(log_id)
        if row is None:
            if len(log_id) != ID_LENGTH or not set(log_id) <= set(_DIGITS):
                return None
            row = (int(log_id, 36) * pow(self._salt, -1, _ID_SPACE)) % _ID_SPACE - 1
            if row in self._given_ids:
                return None
        return self._row(row) if 0 <= row < len(self._times) and self._times[row] != _GONE else None

    def hook_stats(self, hook_id: str, since_ms: float) -> dict[str, int]:
        """Deliveries of a webhook after a moment: ``requestCount`` and ``successCount``."""
        query = LogQuery("webhook", since_ms * 1000 + 1, None, hook=hook_id)
        rows, low, high = self._found(query)
        results = [self._row(row)["payload"].get("result") for row in rows[low:high]]
        return {"requestCount": len(results), "successCount": results.count("Success")}

    def dump(self) -> Iterator[dict[str, Any]]:
        """All rows, oldest first, with ``createdAt`` in ms and a fraction for the microseconds."""
        for row in sorted((row for rows in self._order for row in rows), key=self._times.__getitem__):
            yield self._row(row) | {"createdAt": self._times[row] / 1000}

    # -- inside

    def _name(self, text: object) -> int:
        known = self._name_index.get(name := None if text is None else str(text))
        if known is None:
            known = self._name_index[name] = len(self._names)
            self._names.append(name)
        return known

    def _columns(self, *values: list[int]) -> None:
        columns = (self._times, self._keys, self._users, self._apps, self._hooks, self._numbers)
        for column, new in zip(columns, values, strict=True):
            column.extend(new)

    def _sort(self) -> None:
        for rows in self._order:
            ordered = sorted(rows, key=self._times.__getitem__)
            rows[:] = array("I", ordered)
        self._matches.clear()

    def _span(self, rows: array[int], low: float | None, high: float | None) -> tuple[int, int]:
        when = self._times.__getitem__
        first = 0 if low is None else bisect_left(rows, low, key=when)
        return first, max(first, len(rows) if high is None else bisect_left(rows, high, key=when))

    def _found(self, query: LogQuery) -> tuple[array[int], int, int]:
        """Matching rows, ascending by time, as a stretch of an array; filtered stretches are kept for the next page."""
        rows = self._order[_SERIES[query.series]]
        low, high = self._span(rows, query.low_us, query.high_us)
        wanted = ((self._keys, query.key), (self._users, query.user), (self._apps, query.application))
        filters = [(column, name) for column, name in (*wanted, (self._hooks, query.hook)) if name]
        if not filters:
            return rows, low, high
        found = self._matches.get(query)
        if found is None:
            found = rows[low:high]
            for column, name in filters:
                number = self._name_index.get(name, -1)
                found = array("I", (row for row in found if column[row] == number))
            self._matches[query] = found
            if len(self._matches) > 8:
                self._matches.popitem(last=False)
        return found, 0, len(found)

    def _turned(self, rows: array[int], low: int, high: int, place: int, turn: int) -> int:
        """Where the row shown at ``place`` stands: rows of one time are turned round by ``turn``."""
        moment = self._times[rows[place]]
        alone = (place == low or self._times[rows[place - 1]] != moment) and (
            place + 1 >= high or self._times[rows[place + 1]] != moment
        )
        if alone or not turn:
            return place
        first = bisect_left(rows, moment, low, high, key=self._times.__getitem__)
        size = bisect_right(rows, moment, first, high, key=self._times.__getitem__) - first
        return first + (place - first - turn) % size

    def _id(self, row: int) -> str:
        if row in self._given_ids:
            return self._given_ids[row]
        number, digits = (row + 1) * self._salt % _ID_SPACE, []
        for _ in range(ID_LENGTH):
            number, digit = divmod(number, 36)
            digits.append(_DIGITS[digit])
        return "".join(reversed(digits))

    def _row(self, row: int) -> dict[str, Any]:
        key = self._names[self._keys[row]] or ""
        stored = self._stored.get(row)
        if stored is not None:
            payload = json.loads(stored)
        else:
            names = (self._names[column[row]] for column in (self._users, self._apps, self._hooks))
            payload = log_rows.payload(self._numbers[row], key, *names)
        return {
            "tenantId": self.tenant_id,
            "id": self._id(row),
            "key": key,
            "payload": payload,
            "createdAt": self._times[row] // 1000,
        }
