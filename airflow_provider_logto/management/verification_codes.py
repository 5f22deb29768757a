"""Codes that prove that an e-mail address or a phone belongs to a person.

Source: Logto Management API, tag "Verification codes".
"""

from __future__ import annotations

from typing import Any

from airflow_provider_logto.client.client import LogtoClient, path_of
from airflow_provider_logto.exceptions import InvalidInput, LogtoApiError
from airflow_provider_logto.management import fields
from airflow_provider_logto.management.references import find_user
from airflow_provider_logto.management.user_fields import FIELD, User

#: What the server says of a code that does not prove anything.
REFUSED = frozenset(
    f"verification_code.{reason}"
    for reason in ("code_mismatch", "email_mismatch", "exceed_max_try", "expired", "not_found", "phone_mismatch")
)


async def send_verification_code(client: LogtoClient, *, email: str | None = None, phone: str | None = None) -> None:
    """Send a code; it replaces the one sent before to the same recipient.

    Never repeated by itself: a second message would make the first code useless.

    :param email: the address, or
    :param phone: the international number.
    :raises InvalidInput: for none or both.
    :raises LogtoApiError: 429 after ten messages within ten minutes, 501 where the tenant has no connector for it.
    :raises OutcomeUnknown: where the answer was lost: ask the person whether it arrived.
    """
    await client.request("POST", "/verification-codes", body=_recipient(email, phone))


async def verify_code(client: LogtoClient, code: str, *, email: str | None = None, phone: str | None = None) -> bool:
    """Whether a code is the one sent to this recipient. A right code can be used once.

    :raises InvalidInput: before any request.
    :raises OutcomeUnknown: where the answer was lost: the code may be used up; send another.
    """
    if not isinstance(code, str) or not code.strip():
        raise InvalidInput("code", "missing: the code that the person received")
    body = {**_recipient(email, phone), "verificationCode": code.strip()}
    try:
        await client.request("POST", "/verification-codes/verify", body=body)
    except LogtoApiError as error:
        if error.code in REFUSED:
            return False
        raise
    return True


async def change_identifier(
    client: LogtoClient, user: Any, code: str, *, email: str | None = None, phone: str | None = None
) -> User:
    """Give a person another e-mail or phone, after they proved that it is theirs.

    :param user: a reference to the person.
    :param code: what :func:`send_verification_code` sent to the new address or number.
    :returns: the user as Logto shows them then.
    :raises InvalidInput: where nobody is meant, or the code is wrong, expired or used up: nothing is changed then.
    :raises Conflict: where somebody else has the address or number.
    """
    recipient = _recipient(email, phone)
    found = await find_user(client, user)
    if found is None:
        raise InvalidInput("user", f"no user {user!r} in Logto")
    if not await verify_code(client, code, email=email, phone=phone):
        raise InvalidInput("code", "is wrong, expired or used up; send another one")
    name = "primaryEmail" if "email" in recipient else "primaryPhone"
    value = next(iter(recipient.values()))
    changed: User = await client.request("PATCH", path_of("/users/{}", found["id"]), body={name: value})
    return changed


def _recipient(email: str | None, phone: str | None) -> dict[str, str]:
    address = FIELD["primary_email"].check("email", email)
    number = fields.phone("phone", phone)
    if (address is None) == (number is None):
        raise InvalidInput("email", "give either email or phone")
    return {"email": address} if address else {"phone": str(number)}
