from fastapi import FastAPI
from starlette.testclient import TestClient

from waystation.kernel import openapi
from waystation.kernel.feature import NOBODY, Feature, HotAnswer, HotRequest, HotRoute

BODY = {"type": "object", "required": ["values"]}
ANSWER = {"type": "object", "required": ["stored"]}


async def post(_request: HotRequest) -> HotAnswer:
    """Stores a reading."""
    raise AssertionError


def described() -> dict:
    """What is served, asked for twice as by two clients."""
    app = FastAPI()

    @app.get("/zoo")
    def zoo() -> None: ...

    @app.get("/hot")
    def cold() -> None: ...

    routes = (
        HotRoute("POST", "/hot", post, who="device", body=BODY, answer=ANSWER),
        HotRoute("PUT", "/hot", post, who=NOBODY),
    )
    openapi.describe(app, [Feature(name="posts", hot=routes)])
    with TestClient(app) as client:
        first = client.get("/openapi.json").json()
        assert client.get("/openapi.json").json() == first
    return first


def test_a_hot_route_is_described_as_any_other() -> None:
    operation = described()["paths"]["/hot"]["post"]
    assert operation["summary"] == "Stores a reading."
    assert operation["tags"] == ["posts"]
    assert operation["requestBody"]["content"]["application/json"]["schema"] == BODY
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == ANSWER
    assert {"400", "401", "403", "413", "429", "503", "507"} < set(operation["responses"])


def test_who_may_call_it_is_a_known_scheme() -> None:
    found = described()
    (scheme,) = found["paths"]["/hot"]["post"]["security"]
    assert set(scheme) <= set(found["components"]["securitySchemes"])


def test_what_the_framework_knows_stays_and_what_is_for_nobody_is_left_out() -> None:
    found = described()["paths"]
    assert list(found) == ["/hot", "/zoo"]
    assert set(found["/hot"]) == {"get", "post"}
