"""The mark that says which roster a person belongs to, kept in customData.

It holds names, keys and dates, never a reason. It is one value under one key, so that Logto's shallow merge
(``PATCH /api/users/{id}/custom-data``) writes it whole. It proves something only where end users cannot edit
customData: see :func:`end_users_may_edit`.

While signing in or up, everybody may write customData of their own (``POST /api/experience/profile``, type
``extraProfile``), whatever the account center allows, but only under keys of letters and digits. Hence the underscores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import Any, Self

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import NotFound, Refused
from airflow_provider_logto.management.answers import checked

#: Key of the mark in customData.
KEY = "airflow_roster"
#: Key in customData: since when a person is suspended by ``removal.suspend_user``. Not in a roster's mark: a roster
#: takes back the suspensions that are its own.
SUSPENDED_AT = "airflow_suspended_at"
#: Key in customData of the import mark: key and digest of the row that made the person.
IMPORT_KEY = "airflow_import"
#: What this package keeps in customData and decides by. Nobody else writes or removes it.
OWN_KEYS = (KEY, SUSPENDED_AT, IMPORT_KEY)

#: Field of :class:`Mark` -> key in JSON.
_NAMES = {
    "roster": "roster",
    "external_id": "externalId",
    "suspended_at": "suspendedAt",
    "offboarded_at": "offboardedAt",
    "gone_at": "goneAt",
    "occurred_at": "occurredAt",
    "end_date": "endDate",
    "end_recorded_at": "endRecordedAt",
    "ending_at": "endingAt",
    "by_source": "bySource",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """What the mark of one person says. Times are ISO 8601 in UTC, dates ISO.

    :param roster: the roster that the person belongs to; None for somebody whom only HR events concern.
    :param external_id: the person's key in the source.
    :param suspended_at: when this roster or an HR event suspended them; without it a suspension is somebody else's.
    :param offboarded_at: when their access was ended for good.
    :param gone_at: when the source was first seen without them after the offboarding.
    :param occurred_at: time of the latest HR event that was applied; older events are ignored.
    :param end_date: last day of access, as an HR event announced it.
    :param end_recorded_at: when HR recorded this, or that there is none.
    :param ending_at: when a suspension or offboarding began that the server has not confirmed yet: it is repeated.
    :param by_source: when the source itself said first that they are suspended; it then has to say when they are not.
    """

    roster: str | None = None
    external_id: str | None = None
    suspended_at: str | None = None
    offboarded_at: str | None = None
    gone_at: str | None = None
    occurred_at: str | None = None
    end_date: str | None = None
    end_recorded_at: str | None = None
    ending_at: str | None = None
    by_source: str | None = None

    @classmethod
    def read(cls, custom_data: Any) -> Mark | None:
        """The mark in a user's customData; None where there is none, or something else under its key."""
        raw = custom_data.get(KEY) if isinstance(custom_data, Mapping) else None
        if not isinstance(raw, Mapping):
            return None
        texts = {field: raw.get(name) for field, name in _NAMES.items()}
        return cls(**{field: value for field, value in texts.items() if isinstance(value, str) and value})

    @classmethod
    def of(cls, user: Mapping[str, Any]) -> Mark:
        """The mark of a user as the API shows them; an empty one where there is none."""
        return cls.read(user.get("customData")) or cls()

    def json(self) -> dict[str, str]:
        """The value to write under :data:`KEY`."""
        values = {_NAMES[field.name]: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def custom_data(self) -> dict[str, Any]:
        """The customData to merge in."""
        return {KEY: self.json()}

    def with_(self, **changes: str | None) -> Self:
        """The same mark with some fields changed; None removes one."""
        return replace(self, **changes)

    def back(self, now: datetime) -> Self:
        """The mark of somebody who is brought back: without the dates of how they left.

        A last day is over once it is today in UTC, so that no time zone's nightly run ends access again at once.
        """
        end = date_of(self.end_date)
        ahead = end is not None and end > now.astimezone(UTC).date()
        dates = {"suspended_at": None, "offboarded_at": None, "gone_at": None, "ending_at": None, "by_source": None}
        return self.with_(**dates, end_date=self.end_date if ahead else None)

    def suspended_days(self, now: datetime) -> float | None:
        """Days since this roster suspended the person; None where it did not, or the time cannot be read."""
        moment = moment_of(self.suspended_at)
        return None if moment is None else (now - moment).total_seconds() / 86400


async def write_mark(client: LogtoClient, user_id: str, mark: Mark) -> None:
    """Write a mark; everything else in customData stays.

    :raises NotFound: where there is no such user.
    """
    await client.request("PATCH", path_of("/users/{}/custom-data", user_id), body={"customData": mark.custom_data()})


async def end_users_may_edit(client: LogtoClient) -> bool:
    """Whether end users can rewrite customData, and any mark in it, through the account centre.

    Source: ``GET /api/account-center`` (since 1.22; without it there is no way for them).
    """
    try:
        center = await client.request("GET", "/account-center")
    except NotFound:
        return False
    # What cannot be read forbids nothing.
    about = checked("GET /api/account-center", center, {"enabled": bool, "fields": dict})
    return bool(about["enabled"]) and about["fields"].get("customData") == "Edit"


async def refuse_forgeable(client: LogtoClient) -> None:
    """
    :raises Refused: where end users may edit customData, so that a mark proves nothing.
    """
    if await end_users_may_edit(client):
        raise Refused(
            "end users may edit customData in this tenant's account center, and could forge the mark that says who "
            "somebody is; set the field customData to ReadOnly or Off there"
        )


def stamp(now: datetime) -> str:
    """A moment as marks keep it."""
    return now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def moment_of(text: str | None) -> datetime | None:
    """A moment read from a mark; None where it cannot be read."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def date_of(text: str | None) -> date | None:
    """A date read from a mark; None where it cannot be read."""
    try:
        return date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
