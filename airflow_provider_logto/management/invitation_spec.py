"""What is asked of invitations, checked before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from airflow_provider_logto.exceptions import InvalidInput
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.json_values import json_object, refuse_rendered, wrong_type
from airflow_provider_logto.management.organization_references import OrganizationReference
from airflow_provider_logto.management.organization_roles import checked_roles
from airflow_provider_logto.management.references import Reference, listed

IfPending = Literal["keep", "resend", "replace"]
IF_PENDING = ("keep", "resend", "replace")
#: What a sensor can wait for.
Condition = Literal["accepted", "expired", "revoked", "closed"]
CONDITIONS = ("accepted", "expired", "revoked", "closed")
#: Stands in a message for the id of the invitation.
ID_PLACE = "{invitation_id}"
_DAY = 24 * 3600.0
#: Longer spans are mistakes: milliseconds given as seconds, for example.
_LONGEST = 10 * 366 * _DAY


@dataclass(frozen=True)
class Invitee:
    """One person to invite: e-mail address in lower case, organization roles by name or id."""

    email: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class InviteSpec:
    """A round of invitations. Make one with :meth:`checked`.

    :param expires_in: seconds from now; counts where ``expires_at`` is None.
    :param expires_at: epoch milliseconds.
    :param message: payload of the message; None sends none.
    :param if_pending: what becomes of an invitation that is pending already.
    """

    invitees: tuple[Invitee, ...]
    inviter: Reference | None = None
    expires_in: float = 7 * _DAY
    expires_at: int | None = None
    message: Mapping[str, Any] | None = None
    if_pending: IfPending = "keep"

    @classmethod
    def checked(
        cls,
        invitees: Any,
        roles: Any = None,
        *,
        inviter: Any = None,
        expires_in: Any = None,
        expires_at: Any = None,
        message: Any = None,
        if_pending: Any = "keep",
    ) -> InviteSpec:
        """
        :raises InvalidInput: naming the argument and what would be right.
        """
        if if_pending not in IF_PENDING:
            raise InvalidInput("if_pending", f"{if_pending!r} is unknown; use one of {', '.join(IF_PENDING)}")
        if message is not None and not isinstance(message, Mapping):
            raise InvalidInput("message", wrong_type('an object, e.g. {"link": ...}', message))
        if if_pending == "resend" and message is None:
            raise InvalidInput("message", "missing: resending sends one; {} is the smallest")
        if expires_in not in (None, "") and expires_at not in (None, ""):
            raise InvalidInput("expires_at", "give either this or expires_in, not both")
        return cls(
            _invitees(invitees, checked_roles("roles", roles)),
            Reference.parse(inviter, "inviter") if inviter else None,
            _span(expires_in) if expires_in not in (None, "") else 7 * _DAY,
            _moment(expires_at) if expires_at not in (None, "") else None,
            # Read as JSON before any invitation is made: with a place for the id, it is sent after that.
            None if message is None else json_object("message", message) or {},
            if_pending,
        )

    @property
    def role_names(self) -> tuple[str, ...]:
        """Every role that some invitee is to have."""
        return tuple(dict.fromkeys(name for one in self.invitees for name in one.roles))

    @property
    def needs_id(self) -> bool:
        """Whether the message names the invitation, and so can only leave after it was made."""
        return self.message is not None and _has_place(self.message)


@dataclass(frozen=True)
class InvitationReference:
    """Which invitation: by id, or the newest of an e-mail address into an organization."""

    id: str | None = None
    organization: OrganizationReference | None = None
    invitee: str | None = None

    @classmethod
    def parse(cls, value: Any, field: str = "invitation") -> InvitationReference:
        """
        :param value: an id, a row that InviteMembersOperator returned, or ``{"organization": ..., "invitee": e-mail}``.
        :raises InvalidInput: where it names no invitation.
        """
        refuse_rendered(field, value)
        if isinstance(value, str) and value.strip():
            return cls(id=value.strip())
        if isinstance(value, Mapping):
            if isinstance(value.get("id"), str) and value["id"].strip():
                return cls(id=value["id"].strip())
            email = fields.email(f"{field}.invitee", value.get("invitee"))
            if email and value.get("organization"):
                return cls(None, OrganizationReference.parse(value["organization"], f"{field}.organization"), email)
        raise InvalidInput(
            field,
            f'must be an id, what InviteMembersOperator returned, or {{"organization", "invitee"}}; got {value!r}',
        )

    def __str__(self) -> str:
        if self.id is not None:
            return self.id
        return f"{self.invitee} into {self.organization.value if self.organization else '?'}"


def check_condition(condition: Any) -> None:
    """
    :raises InvalidInput: for an unknown condition.
    """
    if condition not in CONDITIONS:
        raise InvalidInput("condition", f"{condition!r} is unknown; use one of {', '.join(CONDITIONS)}")


def judge(status: str, condition: str) -> Literal["true", "waiting", "never"]:
    """What a status means for who waits for a condition.

    :param status: as :func:`airflow_provider_logto.management.invitations.invitation_status` returns it.
    :returns: ``never`` where the invitation ended in another way and cannot change any more.
    """
    if status == "Pending":
        return "waiting"
    accepted = status in ("Accepted", "Member")
    met = {"accepted": accepted, "expired": status == "Expired", "revoked": status == "Revoked", "closed": True}
    return "true" if met[condition] else "never"


def checked_emails(invitees: Any) -> tuple[str, ...]:
    """The e-mail addresses of a list of invitees, each once.

    :raises InvalidInput: naming the entry and what would be right.
    """
    return tuple(one.email for one in _invitees(invitees, ()))


def filled_message(message: Any, invitation_id: str) -> Any:
    """The message with the invitation's id in its places."""
    if isinstance(message, str):
        return message.replace(ID_PLACE, invitation_id)
    if isinstance(message, Mapping):
        return {name: filled_message(value, invitation_id) for name, value in message.items()}
    if isinstance(message, list):
        return [filled_message(value, invitation_id) for value in message]
    return message


def _has_place(message: Any) -> bool:
    return bool(filled_message(message, "") != message)


def _invitees(value: Any, common: tuple[str, ...]) -> tuple[Invitee, ...]:
    roles: dict[str, tuple[str, ...]] = {}
    for at, entry in enumerate(listed("invitees", value)):
        where = f"invitees[{at}]"
        own: tuple[str, ...] = ()
        if isinstance(entry, Mapping):
            own = checked_roles(f"{where}.roles", entry.get("roles"))
            entry = next((entry[key] for key in ("email", "primaryEmail", "primary_email") if entry.get(key)), None)
        address = fields.email(where, entry)
        if address is None:
            raise InvalidInput(where, 'must be an e-mail address, or {"email": ..., "roles": [...]}')
        # A person listed twice has the roles of both entries, and one invitation.
        roles[address] = tuple(dict.fromkeys((*roles.get(address, common), *own)))
    if not roles:
        raise InvalidInput("invitees", "is empty: list at least one e-mail address")
    return tuple(Invitee(address, names) for address, names in roles.items())


def _span(value: Any) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    try:
        seconds = float(seconds)
    except (TypeError, ValueError):
        seconds = math.nan
    if isinstance(value, bool) or not 0 < seconds <= _LONGEST:
        raise InvalidInput("expires_in", f"{value!r} is not a span of time; give a timedelta, or seconds above 0")
    return seconds


def _moment(value: Any) -> int:
    hint = "give a datetime with a time zone, or its ISO form, e.g. 2026-01-31T12:00:00+00:00"
    try:
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
    except ValueError:
        raise InvalidInput("expires_at", f"{value!r} is not a point in time; {hint}") from None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise InvalidInput("expires_at", f"{value!r} is not a point in time with a time zone; {hint}")
    return int(moment.timestamp() * 1000)
