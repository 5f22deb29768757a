"""How the sandbox says no: the error answers of a Logto server."""

from __future__ import annotations

from typing import Any

# Own short wordings. A client must branch on the code: a real server translates the message.
PHRASES = {
    "auth.authorization_header_missing": "The Authorization header is missing.",
    "auth.authorization_token_type_not_supported": "This kind of authorization is not supported.",
    "auth.forbidden": "The token does not allow this.",
    "auth.unauthorized": "The token was refused.",
    "entity.db_constraint_violated": "A database constraint was violated.",
    "entity.invalid_input": "There is no value to write.",
    "entity.not_found": "There is no such entity.",
    "entity.relation_foreign_key_not_found": "A referenced entity does not exist.",
    "entity.unique_integrity_violation": "Such an entity exists already.",
    "entity.value_too_long": "A value is longer than its column.",
    "guard.invalid_pagination": "page or page_size is out of range.",
    "organization.require_membership": "The user or application is no member of the organization.",
    "session.invalid_credentials": "The password does not match.",
}


class ApiError(Exception):
    """An answer with a code: ``{code, message, data?, details?}``.

    :param status: HTTP status.
    :param code: Logto's error code, e.g. ``user.email_already_in_use``.
    :param message: what went wrong; a default wording when None.
    :param data: machine-readable part, left out of the body when None.
    :param details: the readable list of schema issues (schema failures only).
    """

    def __init__(
        self, status: int, code: str, message: str | None = None, *, data: Any = None, details: str | None = None
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.data, self.details = status, code, data, details
        self.message = message or PHRASES.get(code) or code.replace(".", ": ").replace("_", " ")

    def body(self, language: str = "en") -> dict[str, Any]:
        """The JSON body; a language other than English marks the message, as a stand-in for a translation."""
        message = self.message if language == "en" else f"[{language}] {self.message}"
        parts = {"code": self.code, "data": self.data, "details": self.details, "message": message}
        return {key: value for key, value in parts.items() if value is not None}


class BareError(Exception):
    """What a real server answers to an unexpected exception: 500 without a code."""

    status = 500
    text = "Internal server error."

    def body(self) -> dict[str, str]:
        return {"message": self.text}


class MalformedJsonError(BareError):
    """400 without a code: the body is no JSON."""

    status = 400

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class PlainNotFoundError(Exception):
    """404 ``text/plain``: unknown path, or a body over the limit."""


class UniqueViolationError(Exception):
    """A row or relation that exists already; the family decides what the client sees (a bare 500 by default)."""


class ForeignKeyError(Exception):
    """A referenced row is missing; 422 under ``/organization*``, 404 elsewhere."""


def not_found() -> ApiError:
    """What by-id calls on users, and deletions that hit no row, answer."""
    return ApiError(404, "entity.not_found")


def not_exists_with_id(table: str, row_id: str) -> ApiError:
    """What most by-id reads answer; ``table`` is the plural name."""
    return ApiError(404, "entity.not_exists_with_id", f"There are no {table} with ID {row_id}.")


def invalid_input() -> ApiError:
    """What an update without columns or an empty list reaching SQL ends in."""
    return ApiError(422, "entity.invalid_input")


def constraint_violated() -> ApiError:
    """A CHECK constraint: a role or application of the wrong type."""
    return ApiError(422, "entity.db_constraint_violated")
