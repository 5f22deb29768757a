"""How one gets in, and what is turned away: tokens, bodies, paging, search."""

from __future__ import annotations

from tests.contracts.contract import MANAGEMENT_API, Step
from tests.contracts.scenarios.steps import TOKEN, gone, made, user

TOKENS = [
    Step("POST /oidc/token", form=TOKEN, auth="basic"),
    Step("POST /oidc/token", form=TOKEN | {"scope": "all other"}, auth="basic"),
    Step("POST /oidc/token?parse_error=false", form={"grant_type": "client_credentials"}, auth="basic"),
    Step("POST /oidc/token", form=TOKEN | {"client_id": "somebody"}, auth="basic"),
    Step("POST /oidc/token", form=TOKEN | {"client_secret": "x"}, auth="basic"),
    Step("POST /oidc/token", form=TOKEN | {"client_id": "<app>"}, auth="none"),
    Step("POST /oidc/token", form=TOKEN, auth="Basic"),
    Step("POST /oidc/token", form=TOKEN, auth="Bearer x"),
    Step("POST /oidc/token", form=TOKEN | {"resource": ["https://a.example", MANAGEMENT_API]}, auth="basic"),
    Step("POST /oidc/token", form=TOKEN | {"resource": MANAGEMENT_API + "#x"}, auth="basic"),
    Step("POST /oidc/token", form={"grant_type": "authorization_code", "code": "x"}, auth="basic"),
    Step("GET /api/users", auth="bearer x"),
    Step("GET /api/users", auth="Bearer a.b.c"),
    Step("GET /api/users", auth="Bearer"),
    Step("POST /api/users", raw="[", auth="none"),
    Step("PUT /api/users", auth="none"),
]

BODIES = [
    Step("POST /api/users", raw="5", headers={"Content-Type": "application/json"}),
    Step("POST /api/users", raw='"text"', headers={"Content-Type": "application/json"}),
    Step("POST /api/users", raw="{", headers={"Content-Type": "application/json"}),
    Step("POST /api/organizations", raw="", headers={"Content-Type": "application/json"}),
    Step("POST /api/organizations", {"name": None, "isMfaRequired": "yes", "customData": []}),
    Step("POST /api/organizations", {"name": "<run>\u0000"}),
    Step("POST /api/organizations", {"name": "<run>", "customData": {"a": "\u0000"}}),
    Step("POST /api/users", {"username": None}),
    Step("POST /api/users", {"avatar": "ftp://example.com/a", "name": "<run>"}, keep={"u": "id"}),
    Step("PATCH /api/users/<u>", {"avatar": ""}),
    Step("PATCH /api/users/<u>", {"username": "a-b"}),
    Step("PATCH /api/users/<u>", {"profile": {"address": {"country": "JP", "planet": "x"}, "zoneinfo": "UTC"}}),
    Step("PATCH /api/users/<u>/profile", {"profile": {"address": {"region": "Kanto"}}}),
    Step("PATCH /api/users/<u>/profile", {"profile": {"nickname": None}}),
    Step(
        "PATCH /api/users/<u>/custom-data",
        {"customData": {"zz": 1, "b": {"yy": 1, "a": 2}, "ccc": [1, {"bb": 1, "a": 1}]}},
    ),
    Step("PATCH /api/users/<u>/custom-data", {}),
    Step("GET /api/users/<u>/custom-data"),
    *gone("users/<u>"),
]

PAGING = [
    made("roles", "p1", description="x"),
    made("roles", "p2", description="x"),
    Step("GET /api/roles?search.name=<run>-p%25&page_size=1&page=2&foo=a&foo=b&search.id=<p1>&joint=and"),
    Step("GET /api/roles/?search.name=<run>-p1"),
    Step("GET /api/roles?search.name=<run>-p1&page=1e0&page_size=0x10"),
    Step("GET /api/roles?page=Infinity"),
    Step("GET /api/roles?page=1_0"),
    Step("GET /api/roles?page=%20%20&search.name=<run>-p1"),
    Step("GET /api/roles?page=0.5&search.name=<run>-p1"),
    Step("GET /api/roles/<p1>/scopes?page="),
    Step("GET /api/roles/<p1>/scopes?page_size=5"),
    Step("GET /api/organization-scopes?page_size=x"),
    Step("GET /api/organization-scopes/none"),
    Step("GET /api/roles?page=x", auth="none"),
    Step("DELETE /api/roles"),
    Step("PUT /api/users/x/roles/y"),
    Step("POST /api/organizations/x/users/roles/y"),
    Step("GET /api/organizations/x/users/roles"),
    Step("DELETE /api/organizations/x/users/roles"),
    Step("GET /api/roles?page=1.3"),
    Step("GET /api/roles?page_size=Infinity"),
    Step("GET /api/users//roles"),
    Step("GET /api/roles/%3Cp1%3E"),
    Step("GET /api/roles/a%2Fb"),
    Step("GET /api/roles/%E3%81%82"),
    Step("GET /api/roles/%"),
    Step("GET /api"),
    *gone("roles/<p1>", "roles/<p2>"),
]

SEARCH = [
    user("a_1", name="Grete"),
    user("ab1", name="grete"),
    Step("GET /api/users?search.username=<run>_a_1"),
    Step("GET /api/users?search.username=<run>_a%5C_1"),
    Step("GET /api/users?search.username=<run>%25&isCaseSensitive=true"),
    Step("GET /api/users?search=<run>%25&search.name=Grete&joint=and&isCaseSensitive=1"),
    Step("GET /api/users?search.name=GRETE&search.username=<run>_ab1&mode.username=exact&jointMode=and"),
    Step("GET /api/users?search.username=<run>_(a_|b)1&mode=similar_to&isCaseSensitive=yes"),
    Step("GET /api/users?search.username=%5E<run>_a.1&mode=posix"),
    Step("GET /api/users?searchTerm=<run>_ab1"),
    Step("GET /api/users?search.username=x&model=exact"),
    Step("GET /api/users?search.username=x&joint=AND"),
    Step("GET /api/users?search.username=<run>&search.username=&mode=exact"),
    Step("GET /api/users?search.id=<a_1>&search.id=<ab1>&mode=exact&page_size=1"),
    Step("GET /api/users?search.id=<a_1>&search.id=<ab1>&mode=exact&page_size=1&page=2"),
    Step("GET /api/users?search.id=<a_1>&page=3"),
    Step("GET /api/users?excludeRoleId=a&excludeOrganizationId=b"),
    made("roles", "m1", description="d"),
    Step("GET /api/users/<a_1>/roles?search.description=zz&search.name=<run>-m1", unordered=True),
    Step("GET /api/users/<a_1>/roles?search.description=zz&search.name=<run>-m1&joint=and"),
    Step("GET /api/roles?search.name=<run>-m1&type=MachineToMachine"),
    Step("GET /api/roles?search.nothing=1"),
    Step("GET /api/organizations?q=<run>_%25x"),
    *gone("roles/<m1>", "users/<ab1>", "users/<a_1>"),
]

CODES = [
    Step("POST /api/verification-codes", {"email": "<run>@example.com"}),
    Step("POST /api/verification-codes", {"phone": "819012345678"}),
    Step("POST /api/verification-codes", {}),
    Step("POST /api/verification-codes", {"email": "x"}),
    Step("POST /api/verification-codes/verify", {"email": "<run>@example.com", "verificationCode": "123456"}),
    Step("POST /api/verification-codes/verify", {"email": "<run>@example.com"}),
    Step("GET /api/connectors/none"),
    Step("DELETE /api/connectors/none"),
    Step("PATCH /api/connectors/none", {"config": {}}),
    Step("GET /api/connector-factories/none"),
    Step("POST /api/connectors", {"connectorId": 5}),
    Step("GET /api/sso-connectors/none"),
    Step("POST /api/verification-codes/verify", {"email": "<run>.other@example.com", "verificationCode": "1"}),
]


def _token(body: str, kind: str = "application/x-www-form-urlencoded", auth: str = "basic") -> Step:
    return Step("POST /oidc/token", raw=body, headers={"Content-Type": kind}, auth=auth)


_GRANT = "grant_type=client_credentials"

TOKEN_BODIES = [
    _token("x=1", auth="none"),
    _token("scope=all"),
    _token(""),
    _token(f"{_GRANT}&scope=all%00"),
    _token("grant_type=client%00"),
    _token(f"{_GRANT}&client_id=a%00&client_secret=x", auth="none"),
    _token(f"{_GRANT}&client_id=<app>&client_secret=x%00", auth="none"),
    _token(f"{_GRANT}&resource=https%3A%2F%2Fa%00"),
    _token(f"{_GRANT}\x00"),
    _token('{"grant_type": "client_credentials", "scope": "a\\u0000"}', "application/json"),
    _token(f"{_GRANT}&{_GRANT}"),
    _token(f"{_GRANT}&scope=a&scope=b"),
    _token('{"grant_type": 1, "scope": ["all"]}', "application/json"),
    _token("[]", "application/json"),
    _token(f"{_GRANT}&client_id=<app>&client_secret=", auth="none"),
    _token(_GRANT, auth="Basic bTJtOg=="),
    _token(_GRANT, auth="Basic OnNlY3JldA=="),
    Step("GET /.well-known/oauth-authorization-server", auth="none"),
    Step("GET /oidc/.well-known/nothing", auth="none"),
]
