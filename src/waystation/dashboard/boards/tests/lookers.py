"""A home with everybody that looks at dashboards, a device that has sent three values, and another home."""

import json
from dataclasses import dataclass
from typing import Any, Self

from tests.site import Answer, Site, Somebody, Thing

from waystation.homes import Home, Role

VALUES = {"temp_c": 21.5, "secret_c": 4.0, "pump": True, "mode": "heat"}


@dataclass(frozen=True, slots=True)
class Lookers:
    site: Site
    home: Home
    owner: Somebody
    user: Somebody
    viewer: Somebody
    stranger: Somebody
    device: Thing

    @classmethod
    def of(cls, site: Site) -> Self:
        home = site.home()
        people = [site.somebody(home, role) for role in (Role.OWNER, Role.USER, Role.VIEWER)]
        made = cls(site, home, *people, site.somebody(site.home("Town house")), site.device(home, "Greenhouse"))
        reading = {"at": site.clock.now().isoformat(), "values": VALUES}
        assert site.ask("POST", "/api/readings", made.device.authorization, reading).status == 200
        return made

    @property
    def key(self) -> str:
        return self.device.key

    def ask(self, who: Somebody, method: str, path: str, body: Any = b"") -> Answer:
        return self.site.ask(method, path, who.authorization, body)

    def form(self, who: Somebody, path: str, body: str) -> Answer:
        return self.site.ask("POST", path, body=body.encode(), accept="text/html", **who.browser)

    def page(self, who: Somebody, path: str) -> str:
        answer = self.site.ask("GET", path, accept="text/html", **who.browser)
        assert answer.status == 200, answer.body
        return answer.body.decode()

    def board(self, who: Somebody | None = None, *, is_shared: bool = True, tiles: Any = None) -> dict[str, Any]:
        wanted = [{"kind": "chart", "series": [f"{self.key}:temp_c"]}] if tiles is None else tiles
        body = {"name": "Greenhouse", "tiles": wanted, "is_shared": is_shared}
        return told(self.ask(who or self.owner, "POST", "/api/boards", body), 201)

    def link(self, board: dict[str, Any], hours: float | None = None) -> tuple[int, str]:
        """Its id, and the path that it opens."""
        made = told(self.ask(self.owner, "POST", f"/api/boards/{board['uid']}/links", {"hours": hours}), 201)
        return made["id"], "/shared/" + made["url"].rpartition("/")[2]


def told(answer: Answer, status: int = 200) -> Any:
    assert answer.status == status, (answer.status, answer.body)
    return json.loads(answer.body)
