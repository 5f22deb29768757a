"""Scenarios of calls, played against any Logto, and what came back in a form that can be compared."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.conftest import Tenant
from tests.real.end_user import Application

MANAGEMENT_API = "https://default.logto.app/api"
GENERATED = re.compile(r"^[0-9a-z]{12}$|^[0-9a-z]{21}$")
ISO_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
_SECRETS = (
    "value signingKey access_token refresh_token id_token secret jti sid passwordDigest subjectToken secretQrCode "
    "token codes"
)
SECRET_KEYS = frozenset(_SECRETS.split())
# Wordings and pictures are not promised; users got cimdClientId between 1.42.0 and the release after it.
# Who signs in comes from a browser or from the control plane.
_FREE = "message details error_uri cimdClientId providerLogo providerLogoDark signInContext"
FREE_KEYS = frozenset(_FREE.split())
# Of a connector: texts, pictures and forms, which belong to Logto's packages.
_OF_PACKAGES = frozenset({"name", "description", "readme", "logo", "logoDark", "formItems", "configTemplate", "usage"})
KEPT_HEADERS = ("total-number", "total-number-is-capped", "www-authenticate", "cache-control")


@dataclass(frozen=True)
class Step:
    """One call.

    :param call: method and path, e.g. ``GET /api/users/<ann>``; ``<name>`` stands for what an earlier step kept,
        ``<run>`` for a word that no other run uses; or ``SIGN-IN <user> <application>``, which keeps ``refresh``
    :param body: JSON body; ``form`` and ``raw`` are the other ways to send one
    :param keep: name -> key of the answer whose value later steps may use
    :param auth: ``token``, ``none``, ``basic`` (the application's credentials) or a literal header
    :param unordered: the list that comes back has no defined order
    """

    call: str
    body: Any = None
    form: dict[str, Any] | None = None
    raw: str | None = None
    keep: dict[str, str] = field(default_factory=dict)
    auth: str = "token"
    headers: dict[str, str] = field(default_factory=dict)
    unordered: bool = False


class Player:
    """Plays scenarios on one server and keeps what the steps share."""

    def __init__(self, tenant: Tenant) -> None:
        endpoint, app_id, app_secret = tenant.endpoint, tenant.app_id, tenant.app_secret
        self._tenant = tenant
        self.http = httpx.Client(base_url=endpoint, timeout=60, headers={"Accept-Encoding": "identity"})
        self._basic = httpx.BasicAuth(app_id, app_secret)
        form = {"grant_type": "client_credentials", "resource": MANAGEMENT_API, "scope": "all"}
        answer = self.http.post("/oidc/token", data=form, auth=self._basic).raise_for_status()
        self._token = answer.json()["access_token"]
        self._start = {"app": app_id, "app-secret": app_secret, "origin": endpoint.rstrip("/")}
        self.names: dict[str, str] = {}

    def play(self, steps: Sequence[Step]) -> Iterator[dict[str, Any]]:
        """The answers to a scenario's steps, comparable; stops at none of them."""
        self.names = self._start | {"run": "c" + uuid.uuid4().hex[:8]}
        for step in steps:
            if step.call.startswith("SIGN-IN "):
                self._sign_in(*step.call.split()[1:])
                yield {"call": step.call}
                continue
            response = self._send(step)
            self._keep(step, response)
            yield self._comparable(step, response)

    def lacks(self, factory: str) -> bool:
        """Whether this Logto was built without a kind of connector."""
        headers = {"Authorization": f"Bearer {self._token}"}
        return self.http.get(f"/api/connector-factories/{factory}", headers=headers).status_code == 404

    def _sign_in(self, user: str, application: str) -> None:
        """As an end user with :data:`~tests.real.end_user.PASSWORD` does it."""
        person, app_id = self._filled({"id": user, "username": "<run>_" + user.strip("<>")}), self._filled(application)
        app = Application(self._tenant, app_id, self.names["key"])
        self.names["refresh"] = app.sign_in(person)

    def _send(self, step: Step) -> httpx.Response:
        method, path = self._filled(step.call).split(" ", 1)
        headers = dict(step.headers)
        if step.auth == "token":
            headers["Authorization"] = f"Bearer {self._token}"
        elif step.auth not in ("none", "basic"):
            headers["Authorization"] = step.auth
        request = self.http.build_request(
            method,
            path,
            json=self._filled(step.body) if step.body is not None else None,
            data=self._filled(step.form) if step.form is not None else None,
            content=self._filled(step.raw).encode() if step.raw is not None else None,
            headers=headers,
        )
        return self.http.send(request, auth=self._basic if step.auth == "basic" else None)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if isinstance(value, str):
            return re.sub(r"<([\w-]+)>", lambda found: self.names.get(found[1], found[0]), value)
        return value

    def _keep(self, step: Step, response: httpx.Response) -> None:
        for name, key in step.keep.items():
            found = response.json()
            for part in key.split("."):
                found = found[int(part) if part.isdigit() else part]
            self.names[name] = found

    def _comparable(self, step: Step, response: httpx.Response) -> dict[str, Any]:
        answer: dict[str, Any] = {"call": step.call, "status": response.status_code}
        media = response.headers.get("content-type", "").partition(";")[0]
        if media:
            answer["type"] = media
        for name in KEPT_HEADERS:
            if name in response.headers:
                answer[name] = self._named(response.headers[name])
        if "allow" in response.headers:
            answer["allow"] = sorted(re.split(r",\s*", response.headers["allow"]))
        if links := response.headers.get_list("link"):
            answer["link"] = [self._named(link) for link in links]
        if media.endswith("json"):
            answer["body"] = self._shown(response.json(), step.unordered)
        elif media == "text/plain":
            answer["body"] = response.text
        return answer

    def _shown(self, value: Any, unordered: bool = False, key: str = "") -> Any:
        if isinstance(value, dict):
            free_keys = FREE_KEYS | _OF_PACKAGES if "isDemo" in value else FREE_KEYS
            return {
                self._named(name): self._shown(item, key=name) for name, item in value.items() if name not in free_keys
            }
        if isinstance(value, list):
            shown = [self._shown(item, key=key) for item in value]
            # Who is featured comes in no order either.
            free = unordered or key.startswith("featured")
            return sorted(shown, key=lambda item: json.dumps(item, sort_keys=True)) if free else shown
        if isinstance(value, str):
            if key in SECRET_KEYS:
                return "<secret>"
            if ISO_TIME.match(value):
                return "<time>"
            named = self._named(value)
            return "<id>" if GENERATED.match(named) and key in ("id", "userId", "sub") else named
        if (
            isinstance(value, int)
            and (key.endswith("At") or key in ("iat", "exp", "loginTs"))
            and not isinstance(value, bool)
        ):
            return "<time>"
        return value

    def _named(self, text: str) -> str:
        for name, live in sorted(self.names.items(), key=lambda item: -len(item[1])):
            text = text.replace(live, f"<{name}>")
        return text
