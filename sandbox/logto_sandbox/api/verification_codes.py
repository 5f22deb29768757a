"""Verification codes, sent by the tenant's connectors."""

from __future__ import annotations

import secrets

from logto_sandbox.api import messages
from logto_sandbox.api.common import NO_CONTENT
from logto_sandbox.api.patterns import EMAIL, PHONE
from logto_sandbox.errors import ApiError
from logto_sandbox.http.routing import Call, Reply, Routes
from logto_sandbox.http.schema import Obj, Schema, Text, Union
from logto_sandbox.store.relations import Row

routes = Routes("/api/verification-codes")


def _identifier_with(**more: Schema) -> Union:
    """``{email}`` or ``{phone}``, with more keys beside it."""
    return Union(Obj({"email": Text(pattern=EMAIL)} | more), Obj({"phone": Text(pattern=PHONE)} | more))


def _identifier(body: Row) -> tuple[str, str]:
    return ("Email", body["email"]) if "email" in body else ("Sms", body["phone"])


@routes.post(body=_identifier_with())
def send_code(call: Call) -> Reply:
    kind, recipient = _identifier(call.body)
    messages.refuse_flood(call.tenant, recipient)
    # The code is there before it is sent, also when it cannot be sent.
    code = call.tenant.codes[recipient] = f"{secrets.randbelow(10**6):06d}"
    messages.send(call.tenant, kind, recipient, "Generic", {"code": code})
    return NO_CONTENT


@routes.post("/verify", body=_identifier_with(verificationCode=Text(1)))
def verify_code(call: Call) -> Reply:
    _, recipient = _identifier(call.body)
    if recipient not in call.tenant.codes:
        raise ApiError(400, "verification_code.not_found")
    if call.tenant.codes[recipient] != call.body["verificationCode"]:
        raise ApiError(400, "verification_code.code_mismatch")
    del call.tenant.codes[recipient]
    return NO_CONTENT
