"""The HTTP interface described for machines: what the web framework knows of, and the hot routes in front of it."""

import inspect
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from waystation.kernel.feature import NOBODY, Feature, HotRoute

SECURITY = {
    "device": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Device <serial or key>:<API key>`, or `Bearer <API key>`",
    },
    "device by token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "In the form of a POST, or as `Authorization: Bearer`",
    },
}
REFUSALS = {
    "400": "The body is not understood; nothing of it was stored",
    "401": "No credential, or one that cannot be read",
    "403": "A wrong, expired or revoked credential",
    "413": "The body is too large",
    "429": "Too often; nothing was stored, send it again after Retry-After",
    "503": "Busy or stopping; nothing was stored, send it again after Retry-After",
    "507": "The disk is full; send it again later",
}


def describe(app: FastAPI, features: Sequence[Feature]) -> None:
    """From here on `app.openapi()`, which /openapi.json serves, describes both."""
    of_the_framework = app.openapi

    def of_both() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_hot_routes(of_the_framework(), features)
        return app.openapi_schema

    app.openapi = of_both  # type: ignore[method-assign]  FastAPI's documented way


def _with_hot_routes(described: dict[str, Any], features: Sequence[Feature]) -> dict[str, Any]:
    described.setdefault("components", {}).setdefault("securitySchemes", {}).update(SECURITY)
    paths: dict[str, Any] = described["paths"]
    for feature in features:
        for route in feature.hot:
            if route.who != NOBODY:
                paths.setdefault(route.path, {})[route.method.lower()] = _operation(feature.name, route)
    return {**described, "paths": dict(sorted(paths.items()))}


def _operation(feature: str, route: HotRoute) -> dict[str, Any]:
    """A body that is not described here, or a path without an open word, is left out."""
    body = {"required": True, "content": {"application/json": {"schema": dict(route.body)}}}
    words = [part.strip("{}") for part in route.path.split("/") if part.startswith("{")]
    named = [{"name": word, "in": "path", "required": True, "schema": {"type": "string"}} for word in words]
    return {
        "tags": [feature],
        "summary": inspect.getdoc(route.endpoint) or "",
        "operationId": f"{feature}_{getattr(route.endpoint, '__name__', route.path)}",
        "security": [{route.who: []}],
        **({"requestBody": body} if route.body else {}),
        **({"parameters": named} if named else {}),
        "responses": {
            "200": {"description": "Durable", "content": {"application/json": {"schema": dict(route.answer)}}},
            **{status: {"description": sentence} for status, sentence in REFUSALS.items()},
        },
    }
