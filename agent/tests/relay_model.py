"""The server's rules as a small honest model (JR-5, 6, 9, 12, 13, 23, 25): calls in, answers out, time by hand."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

Said = dict[str, object]

ALIASES = {"/cloud/devices/": "", "/cloud-devices/": ""}


@dataclass
class Family:
    """One device's tokens. `undelivered` came from `superseded`, and replaces nothing until it is used."""

    device: str
    registration: str
    current: str = ""
    superseded: str = ""
    superseded_at: float = 0.0
    refresh_ends_at: float = 0.0
    jwts: dict[str, float] = field(default_factory=dict)
    revoked: bool = False


@dataclass
class Server:
    now: float = 1_795_000_000.0
    jwt_seconds: float = 8 * 3_600
    refresh_seconds: float = 7 * 86_400
    grace_seconds: float = 600
    open_registrations: set[str] = field(default_factory=set)
    families: list[Family] = field(default_factory=list)
    reports: list[Said] = field(default_factory=list)
    granted: dict[str, int] = field(default_factory=dict)
    refusals: int = 0
    made: int = 0
    secrets: list[str] = field(default_factory=list)

    def call(self, path: str, sent: Said, bearer: str = "") -> tuple[int, Said]:
        name = path.rsplit("/", 1)[-1]
        status, said = getattr(self, "_" + name.replace("-", "_"))({key.lower(): sent[key] for key in sent}, bearer)
        if status == 200:
            self.granted[name] = self.granted.get(name, 0) + 1
        else:
            self.refusals += 1
        return status, json.loads(json.dumps(said))

    def open_registration(self, token: str) -> None:
        self.open_registrations.add(token)
        self.secrets.append(token)

    def _register(self, sent: Said, _: str) -> tuple[int, Said]:
        token, device = str(sent["registrationtoken"]), str(sent["actualdeviceid"])
        known = next((family for family in self.families if family.registration == token), None)
        if token not in self.open_registrations or (known and known.device != device):
            return self._no("unknown registration token")
        family = known or Family(device, token)
        if known is None:
            self.families.append(family)
        family.current, family.superseded = self._secret("refresh"), ""
        family.jwts.clear()
        pair = self._pair(family)
        pair["deviceJwt"] = pair.pop("token")
        return 200, pair

    def _refresh(self, sent: Said, _: str) -> tuple[int, Said]:
        family = self._family(sent)
        if family is None or sent["refreshtoken"] != family.current:
            return self._no("unknown refresh token")
        family.superseded = ""
        return 200, {"success": True, "token": self._jwt(family), "expiresAt": iso(self.now + self.jwt_seconds)}

    def _refresh_rotate(self, sent: Said, _: str) -> tuple[int, Said]:
        family = self._family(sent)
        if family is None:
            return self._no("unknown refresh token")
        if sent["refreshtoken"] == family.current:
            family.superseded, family.superseded_at = family.current, self.now
        elif self.now > family.superseded_at + self.grace_seconds:
            family.revoked = True
            return self._no("this refresh token was replaced long ago")
        family.current = self._secret("refresh")
        return 200, self._pair(family)

    def _health(self, sent: Said, bearer: str) -> tuple[int, Said]:
        family = next((family for family in self.families if bearer in family.jwts), None)
        if family is None or family.revoked or self.now > family.jwts[bearer]:
            return self._no("unknown or ended JWT")
        self.reports.append(sent)
        return 200, {"success": True}

    def _family(self, sent: Said) -> Family | None:
        for family in self.families:
            ours = sent["refreshtoken"] and sent["refreshtoken"] in {family.current, family.superseded}
            if ours and sent["deviceid"] == family.device and not family.revoked and self.now <= family.refresh_ends_at:
                return family
        return None

    def _pair(self, family: Family) -> Said:
        family.refresh_ends_at = self.now + self.refresh_seconds
        return {
            "success": True,
            "token": self._jwt(family),
            "refreshToken": family.current,
            "expiresAt": iso(self.now + self.jwt_seconds),
            "refreshTokenExpiresAt": iso(family.refresh_ends_at),
        }

    def _jwt(self, family: Family) -> str:
        jwt = self._secret("jwt")
        family.jwts = {known: end for known, end in family.jwts.items() if end >= self.now}
        family.jwts[jwt] = self.now + self.jwt_seconds
        return jwt

    def _secret(self, kind: str) -> str:
        self.made += 1
        self.secrets.append(f"{kind}-secret-{self.made}")
        return self.secrets[-1]

    def _no(self, reason: str) -> tuple[int, Said]:
        return 401, {"success": False, "error": reason}


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
