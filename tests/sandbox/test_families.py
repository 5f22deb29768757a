"""What the recorded contracts do not show: versions, keys and clocks, messages, the state as a whole."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from logto_sandbox import Sandbox
from logto_sandbox.api.phones import normalize_phone
from logto_sandbox.api.router import ROUTES, route_of
from logto_sandbox.http.openapi import operations
from logto_sandbox.http.routing import USER
from logto_sandbox.store.defaults import Settings
from logto_sandbox.store.tenant import Tenant

Authorize = Callable[[Sandbox], httpx.Client]


@pytest.fixture
def old(request: pytest.FixtureRequest, authorize: Authorize) -> Iterator[httpx.Client]:
    """A client of a sandbox of the version the test is parametrized with."""
    with Sandbox(logto_version=request.param) as sandbox:
        yield authorize(sandbox)


def _user(http: httpx.Client, **fields: Any) -> str:
    return str(http.post("/api/users", json=fields).json()["id"])


def _made(http: httpx.Client, family: str, **fields: Any) -> str:
    return str(http.post(f"/api/{family}", json={"name": family, **fields}).json()["id"])


def _only(version: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("old", [version], indirect=True)


@_only("1.36")
def test_1_36_organization_members(old: httpx.Client) -> None:
    ann, bob, acme = _user(old), _user(old), _made(old, "organizations")
    role, path = _made(old, "organization-roles"), f"/api/organizations/{acme}/users"
    added = old.post(path, json={"userIds": [ann, bob]})
    assert (added.status_code, added.text) == (201, "Created")
    assigned = old.post(f"{path}/{ann}/roles", json={"organizationRoleIds": [role]})
    assert (assigned.status_code, assigned.text) == (201, "Created")
    # Everybody's roles used to be lost, those of members that stay too.
    assert old.put(path, json={"userIds": [ann]}).status_code == 204
    assert [row["organizationRoles"] for row in old.get(path).json()] == [[]]
    # The filter did not exist, so it is ignored.
    assert len(old.get(path, params={"organizationRoleId": role}).json()) == 1


@_only("1.36")
def test_1_36_has_no_sessions(old: httpx.Client) -> None:
    ann = _user(old, username="ann", passwordDigest="x", passwordAlgorithm="MD5")
    assert old.get(f"/api/users/{ann}/sessions").status_code == 404
    assert "passwordDigest" not in old.get(f"/api/users/{ann}?includePasswordHash=true").json()
    paths = old.get("/api/.well-known/management.openapi.json").json()["paths"]
    assert "/api/users/{userId}" in paths
    assert "/api/users/{userId}/sessions" not in paths


@_only("1.39")
def test_1_39_keeps_a_role_whose_creation_failed(old: httpx.Client) -> None:
    body = {"name": "half", "organizationScopeIds": ["none"]}
    assert old.post("/api/organization-roles", json=body).status_code == 422
    assert [row["name"] for row in old.get("/api/organization-roles").json()] == ["half"]


@_only("1.40")
def test_1_40_application_roles(old: httpx.Client) -> None:
    app = old.post("/api/applications", json={"name": "a", "type": "MachineToMachine"}).json()
    assert "secret" in app
    assert "appLevelAccessControlEnabled" not in app
    role = _made(old, "roles", description="d", type="MachineToMachine")
    path = f"/api/applications/{app['id']}/roles"
    assert old.post(path, json={"roleIds": [role]}).text == "Created"
    again = old.post(path, json={"roleIds": [role]})
    assert (again.status_code, again.json()["code"]) == (422, "application.role_exists")


def test_versions_are_known() -> None:
    with pytest.raises(ValueError, match=r"1\.36, 1\.39, 1\.40, 1\.42"):
        Tenant(Settings(logto_version="1.41"))


def test_rotated_key_refuses_former_tokens(sandbox: Sandbox, authorize: Authorize) -> None:
    http = authorize(sandbox)
    before = http.get("/oidc/jwks").json()["keys"][0]["kid"]
    sandbox.tenant.rotate_signing_key()
    refused = http.get("/api/users")
    assert (refused.status_code, refused.json()["data"]["code"]) == (401, "ERR_JWKS_NO_MATCHING_KEY")
    assert http.get("/oidc/jwks").json()["keys"][0]["kid"] != before


def test_expired_token(sandbox: Sandbox, authorize: Authorize) -> None:
    http = authorize(sandbox)
    sandbox.tenant.clock_offset_ms = 3_600_000
    data = http.get("/api/users").json()["data"]
    assert (data["code"], data["claim"], data["payload"]["sub"]) == ("ERR_JWT_EXPIRED", "exp", sandbox.app_id)


@pytest.mark.parametrize(
    ("fault", "status", "key", "value"),
    [
        ("without_scope", 200, "token_type", "Bearer"),
        ("secret_expired", 400, "error_description", "client secret has expired"),
        ("token_quota", 429, "code", "auth.exceed_token_limit"),
    ],
)
def test_token_faults(
    sandbox: Sandbox, authorize: Authorize, token: Any, fault: str, status: int, key: str, value: str
) -> None:
    http = authorize(sandbox)
    sandbox.tenant.token_faults.add(fault)
    answer = token(sandbox, http)
    assert (answer.status_code, answer.json()[key], "scope" in answer.json()) == (status, value, False)


def test_operations_are_named_as_in_logto() -> None:
    management = {f"{route.method} {route.path}" for route in ROUTES if route.auth != USER}
    assert management <= set(operations())


def test_everything_else_is_not_modelled(api: httpx.Client) -> None:
    answer = api.put("/api/custom-phrases/de", json={})
    assert answer.status_code == 501
    assert answer.json()["code"] == "sandbox.not_modelled"
    assert answer.json()["data"] == {"operation": "ReplaceCustomPhrase"}
    assert httpx.get(f"{api.base_url}/api/sign-in-exp").status_code == 401


def test_openapi_document_needs_no_token(api: httpx.Client) -> None:
    document = httpx.get(f"{api.base_url}/api/.well-known/management.openapi.json").json()
    assert document["paths"]["/api/users"]["get"]["operationId"] == "ListUsers"
    assert not {"/api/custom-phrases", "/api/my-account"} & document["paths"].keys()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/users/abc/roles", "POST /api/users/{id}/roles"),
        ("/api/organizations/a/users/roles", "POST /api/organizations/{id}/users/roles"),
        ("/api/nothing", "POST /api/nothing"),
    ],
)
def test_routes_have_labels(path: str, expected: str) -> None:
    assert route_of("POST", path) == expected


def test_etag_and_compression(api: httpx.Client) -> None:
    _user(api, username="ann", customData={"text": "x" * 2000})
    first = api.get("/api/users", headers={"Accept-Encoding": "gzip"})
    assert first.headers["content-encoding"] == "gzip"
    second = api.get("/api/users", headers={"If-None-Match": first.headers["etag"], "Accept-Encoding": "identity"})
    assert (second.status_code, second.content) == (304, b"")
    assert len(first.headers["logto-core-request-id"]) == 16


def test_body_limits_and_encodings(api: httpx.Client) -> None:
    json_type = {"Content-Type": "application/json"}
    fits, too_large = (b'{"name":"' + b"x" * size + b'"}' for size in (2**20 - 11, 2**20 - 10))
    assert api.post("/api/users", content=fits, headers=json_type).status_code == 422  # wider than its column
    refused = api.post("/api/users", content=too_large, headers=json_type)
    assert (refused.status_code, refused.text) == (404, "Not Found")
    packed = api.post(
        "/api/users", content=gzip.compress(b'{"name":"ann"}'), headers=json_type | {"Content-Encoding": "gzip"}
    )
    assert packed.json()["name"] == "ann"


def test_messages_are_translated_and_codes_are_not(api: httpx.Client) -> None:
    german = api.get("/api/users/none", headers={"Accept-Language": "de-DE,de;q=0.9"}).json()
    english = api.get("/api/users/none").json()
    assert german["code"] == english["code"]
    assert german["message"] != english["message"]


def test_mail_is_kept_and_throttled(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    templates = [{"usageType": "Generic", "type": "text/plain", "subject": "Code", "content": "{{code}}"}]
    config = {"apiKey": "k", "fromEmail": "a@example.com", "templates": templates}
    api.post("/api/connectors", json={"connectorId": "mock-email-service", "config": config}).raise_for_status()
    sent = [api.post("/api/verification-codes", json={"email": "a@example.com"}).status_code for _ in range(11)]
    assert sent == [204] * 10 + [429]
    code = logto_sandbox.tenant.dump()["messages"][-1]["payload"]["code"]
    body = {"email": "a@example.com", "verificationCode": code}
    assert api.post("/api/verification-codes/verify", json=body).status_code == 204
    assert api.post("/api/verification-codes/verify", json=body).json()["code"] == "verification_code.not_found"


def _invited(http: httpx.Client, organization: str, email: str, **fields: Any) -> httpx.Response:
    body = {"invitee": email, "organizationId": organization, "expiresAt": 4_000_000_000_000, **fields}
    return http.post("/api/organization-invitations", json=body)


def test_invitations_go_with_who_sent_or_accepted_them(api: httpx.Client) -> None:
    """organization_invitations.sql: both columns cascade."""
    boss, ann, acme = _user(api), _user(api, primaryEmail="ann@example.com"), _made(api, "organizations")
    sent = _invited(api, acme, "new@example.com", inviterId=boss).json()["id"]
    accepted = _invited(api, acme, "ann@example.com").json()["id"]
    body = {"status": "Accepted", "acceptedUserId": ann}
    assert api.put(f"/api/organization-invitations/{accepted}/status", json=body).status_code == 200
    for user, invitation in ((boss, sent), (ann, accepted)):
        api.delete(f"/api/users/{user}").raise_for_status()
        assert api.get(f"/api/organization-invitations/{invitation}").status_code == 404


def test_variables_of_an_invitations_template_are_sent(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    """connector-kit, sendMessagePayloadGuard: what it does not know passes."""
    templates = [{"usageType": "OrganizationInvitation", "type": "text/plain", "subject": "-", "content": "{{link}}"}]
    config = {"apiKey": "k", "fromEmail": "a@example.com", "templates": templates}
    api.post("/api/connectors", json={"connectorId": "mock-email-service", "config": config}).raise_for_status()
    payload = {"link": "https://example.com", "uiLocales": "de", "team": {"name": "Sales"}}
    made = _invited(api, _made(api, "organizations"), "a@example.com", messagePayload=payload).json()
    again = api.post(f"/api/organization-invitations/{made['id']}/message", json={"team": "Support"})
    assert again.status_code == 204
    sent = [message["payload"] for message in logto_sandbox.tenant.dump()["messages"]]
    assert sent == [payload, {"team": "Support"}]
    wrong = _invited(api, made["organizationId"], "b@example.com", messagePayload={"link": 5})
    assert wrong.status_code == 400


def test_a_member_is_known_by_the_address_as_it_is_written(api: httpx.Client) -> None:
    """queries/organization/user-relations.ts, isMember."""
    ann, acme = _user(api, primaryEmail="Ann@Example.com"), _made(api, "organizations")
    api.post(f"/api/organizations/{acme}/users", json={"userIds": [ann]}).raise_for_status()
    assert _invited(api, acme, "Ann@Example.com").status_code == 422
    assert _invited(api, acme, "ann@example.com").status_code == 201


@pytest.mark.parametrize("name", ["organizationId", "inviterId", "invitee"])
def test_an_empty_filter_is_none(api: httpx.Client, name: str) -> None:
    _invited(api, _made(api, "organizations"), "a@example.com").raise_for_status()
    assert len(api.get("/api/organization-invitations", params={name: ""}).json()) == 1
    assert api.get("/api/organization-invitations", params={name: "x"}).json() == []


@pytest.mark.parametrize(
    ("path", "body", "column"),
    [
        ("/api/users", {}, "name"),
        ("/api/users", {}, "avatar"),
        ("/api/organizations", {"name": "a"}, "description"),
        ("/api/organizations", {"name": "a"}, "customCss"),
        ("/api/organization-roles", {"name": "a"}, "description"),
        ("/api/organization-scopes", {"name": "a"}, "description"),
        ("/api/applications", {"name": "a", "type": "SPA"}, "description"),
    ],
)
def test_an_empty_text_is_stored_as_null(api: httpx.Client, path: str, body: dict[str, Any], column: str) -> None:
    """utils/sql.ts, convertToPrimitiveOrSql: of every table, at the top level."""
    made = api.post(path, json={**body, column: ""}).json()
    assert made[column] is None
    one = f"{path}/{made['id']}"
    assert api.patch(one, json={column: "https://example.com"}).json()[column] == "https://example.com"
    assert api.patch(one, json={column: ""}).json()[column] is None
    assert api.get(one).json()[column] is None


def test_an_empty_text_within_an_object_stays(api: httpx.Client) -> None:
    ann = _user(api, customData={"note": ""})
    assert api.get(f"/api/users/{ann}").json()["customData"] == {"note": ""}
    assert api.patch("/api/sign-in-exp", json={"customCss": ""}).json()["customCss"] is None
    hook = {"events": ["PostSignIn"], "config": {"url": "https://example.com"}}
    assert api.post("/api/hooks", json=hook).json()["name"] == ""


@pytest.mark.parametrize("version", ["1.40", "1.42"])
def test_a_legacy_secret_buys_tokens_until_it_is_deleted(authorize: Authorize, version: str) -> None:
    """routes/applications/application-secret.ts; the API makes no application with one."""
    with Sandbox(logto_version=version) as sandbox:
        http = authorize(sandbox)
        app = http.post("/api/applications", json={"name": "a", "type": "MachineToMachine"}).json()
        path, table = f"/api/applications/{app['id']}", sandbox.tenant.tables["applications"]
        assert http.delete(f"{path}/legacy-secret").json()["code"] == "application.no_legacy_secret_found"
        table.put(table[app["id"]] | {"secret": "old"})
        assert http.get(path).json()["secret"] == "old"
        form = {"grant_type": "client_credentials", "resource": sandbox.resource}
        assert http.post("/oidc/token", data=form, auth=(app["id"], "old")).status_code == 200
        used = http.get("/api/logs", params={"applicationId": app["id"]}).json()[0]["payload"]
        assert (used["result"], "applicationSecret" in used) == ("Success", False)
        left = http.delete(f"{path}/legacy-secret")
        assert (left.status_code, left.json().get("secret", "#internal:")[:10]) == (200, "#internal:")
        assert http.post("/oidc/token", data=form, auth=(app["id"], "old")).status_code == 401
        assert http.delete("/api/applications/none/legacy-secret").status_code == 404


def test_dump_and_load(logto_sandbox: Sandbox, api: httpx.Client) -> None:
    ann, acme = _user(api, username="ann", password="secret"), _made(api, "organizations")
    api.post(f"/api/organizations/{acme}/users", json={"userIds": [ann]})
    tenant = logto_sandbox.tenant
    state = tenant.dump()
    api.delete(f"/api/users/{ann}")
    assert tenant.dump()["relations"]["organization_users"] == []
    tenant.load(state)
    assert tenant.dump() == state
    assert api.post(f"/api/users/{ann}/password/verify", json={"password": "secret"}).status_code == 204
    assert api.post("/api/users", json={"username": "ann"}).status_code == 422
    with pytest.raises(ValueError, match="people"):
        tenant.load({"people": []})


def test_unordered_lists_move_with_updates(api: httpx.Client) -> None:
    made = [_made(api, "organizations") for _ in range(12)]

    def listed() -> list[str]:
        return [row["id"] for row in api.get("/api/organizations").json()]

    before = listed()
    assert sorted(before) == sorted(made)
    assert listed() == before
    for organization in made:
        api.patch(f"/api/organizations/{organization}", json={"description": "changed"})
    assert listed() != before
    users = [_user(api) for _ in range(5)]
    assert [row["id"] for row in api.get("/api/users").json()] == users[::-1]


@pytest.mark.parametrize(
    ("digits", "stored"),
    [
        ("8109012345678", "819012345678"),
        ("390612345678", "390612345678"),
        ("15550100", "15550100"),
        ("123", "123"),
        ("9710501234567", "971501234567"),
        ("789161234567", "79161234567"),
        ("78005553535", "78005553535"),
        ("116502530000", "16502530000"),
        ("3606301234567", "36301234567"),
        ("370861234567", "37061234567"),
        ("3758291234567", "375291234567"),
        ("99386612345", "99386612345"),
        ("993866123456", "99366123456"),
        ("54111512345678", "5491112345678"),
        ("541115123456", "541115123456"),
        ("378886377", "3780549886377"),
        ("3020101234567", "3020101234567"),
    ],
)
def test_phones_are_rewritten(digits: str, stored: str) -> None:
    assert normalize_phone(digits) == stored
