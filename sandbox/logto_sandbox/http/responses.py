"""Answers on the wire: JSON with ETag and compression, plain text, the language of messages."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

JSON = "application/json; charset=utf-8"
_COMPRESS_OVER = 1024


def to_json(body: Any) -> bytes:
    """JSON as the server writes it: no spaces, no escapes beyond the needed."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def json_response(status: int, raw: bytes, request: Request, media_type: str = JSON) -> Response:
    """A JSON answer: ETag and 304 on GET, compressed over 1 kB for clients that take gzip."""
    headers = {}
    if status == HTTPStatus.OK and request.method == "GET":
        digest = base64.b64encode(hashlib.sha1(raw, usedforsecurity=False).digest()).decode()[:27]
        headers["ETag"] = f'"{len(raw):x}-{digest}"'
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if headers["ETag"] in known or "*" in known:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if len(raw) > _COMPRESS_OVER and "gzip" in request.headers.get("accept-encoding", ""):
        raw = gzip.compress(raw, 1)
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(raw, status, headers, media_type)


def text_response(status: int, headers: dict[str, str] | None = None) -> Response:
    """``text/plain`` with the status' phrase: what an answer without a body becomes."""
    return Response(HTTPStatus(status).phrase, status, headers, "text/plain")


def language(request: Request) -> str:
    """The language messages are asked in: ``?locale=`` or the first of Accept-Language."""
    asked = request.query_params.get("locale") or request.headers.get("accept-language", "en")
    first = asked.split(",")[0].split(";")[0].split("-")[0].strip().lower()
    return first if first.isalpha() else "en"
