"""E-mail domains whose new users join an organization."""

from __future__ import annotations

from logto_sandbox.api.common import NO_CONTENT, unlink
from logto_sandbox.errors import ApiError
from logto_sandbox.http.paging import Rows
from logto_sandbox.http.routing import OPTIONAL, Call, Reply, Routes
from logto_sandbox.http.schema import Array, Obj, Text
from logto_sandbox.store.relations import Row
from logto_sandbox.store.state import TENANT_ID

routes = Routes("/api/organizations/{id}/jit/email-domains")

_RELATION = "organization_jit_email_domains"
_DOMAIN = Text(1, column=128)


def _row(organization: str, domain: str) -> Row:
    return {"tenantId": TENANT_ID, "organizationId": organization, "emailDomain": domain}


@routes.get(paging=OPTIONAL)
def list_domains(call: Call) -> Rows:
    domains = call.tenant.relations[_RELATION].ids(1, call["id"])
    return Rows(domains, lambda domain: _row(call["id"], domain))


@routes.post(body=Obj({"emailDomain": _DOMAIN}))
def add_domain(call: Call) -> Reply:
    link = (call["id"], call.body["emailDomain"])
    if link in call.tenant.relations[_RELATION]:
        raise ApiError(422, "entity.unique_integrity_violation")
    call.tenant.relations[_RELATION].insert([link])
    return Reply(201, _row(*link))


@routes.put(body=Obj({"emailDomains": Array(_DOMAIN)}))
def replace_domains(call: Call) -> Reply:
    call.tenant.relations[_RELATION].replace((call["id"],), call.body["emailDomains"], ignore_held=False)
    return NO_CONTENT


@routes.delete("/{emailDomain}")
def remove_domain(call: Call) -> Reply:
    return unlink(call.tenant.relations[_RELATION], call["id"], call["emailDomain"])
