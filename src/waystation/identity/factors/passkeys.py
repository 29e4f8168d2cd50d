"""Passkeys (WebAuthn level 2): registered, listed, and proof of who somebody is. Challenges are good once."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from waystation.identity.factors import store
from waystation.identity.factors.model import CHALLENGE_LIFETIME, MOST_NAME, MOST_PASSKEYS, Passkey
from waystation.kernel import secrets
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, NotFound, Refused

NOT_FITTING = "this passkey could not be checked; try again"
TIMEOUT_MILLISECONDS = 120_000


class Purpose(StrEnum):
    REGISTER = "register"
    SIGN_IN = "sign in"
    SECOND_STEP = "second step"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Site:
    """What a passkey is bound to: the host name, and the origins under which browsers may say they are there."""

    id: str
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a challenge was made for. `holder` names the browser or session that must bring the answer."""

    site: Site
    purpose: Purpose
    holder: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the browser brought back to a challenge that was ours and is used up."""

    site: Site
    challenge: bytes
    credential: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A passkey that was checked, and whose it is."""

    person_id: int
    passkey_id: int
    name: str


def registration(tx: Tx, asked: Asked, now: datetime, *, person: Any) -> dict[str, Any]:
    """The options for `navigator.credentials.create`, as JSON. `person` has id, uid, email, name."""
    from webauthn import generate_registration_options  # noqa: PLC0415  slow to load
    from webauthn.helpers.options_to_json_dict import options_to_json_dict  # noqa: PLC0415
    from webauthn.helpers.structs import (  # noqa: PLC0415
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    if len(store.passkeys_of(tx, person.id)) >= MOST_PASSKEYS:
        raise Conflict(f"you have {MOST_PASSKEYS} passkeys, which is the most; delete one that you do not use")
    known = store.credential_ids(tx, person.id, asked.site.id)
    options = generate_registration_options(
        rp_id=asked.site.id,
        rp_name="Waystation",
        user_id=person.uid.encode(),
        user_name=person.email,
        user_display_name=person.name,
        challenge=_challenge(tx, asked, now),
        timeout=TIMEOUT_MILLISECONDS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return options_to_json_dict(options)


def register(tx: Tx, answer: Answer, now: datetime, *, person_id: int, name: str) -> Passkey:
    from webauthn import verify_registration_response  # noqa: PLC0415
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415
    from webauthn.helpers.structs import CredentialDeviceType  # noqa: PLC0415

    name = check_name(name)
    site = answer.site
    try:
        made = verify_registration_response(
            credential=answer.credential,
            expected_challenge=answer.challenge,
            expected_rp_id=site.id,
            expected_origin=list(site.origins),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as fault:
        raise Invalid(NOT_FITTING) from fault
    facts = {
        "site": site.id,
        "credential_id": made.credential_id,
        "public_key": made.credential_public_key,
        "uses": made.sign_count,
        "is_synced": made.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
    }
    passkey_id = store.add_passkey(tx, person_id, name, now, **facts)
    if passkey_id is None:
        raise Conflict("this passkey is registered already")
    return Passkey(passkey_id, name, site.id, bool(facts["is_synced"]), now, None)


def question(tx: Tx, asked: Asked, now: datetime, *, person_id: int | None = None) -> dict[str, Any]:
    """The options for `navigator.credentials.get`, as JSON. Without a person the browser offers what it has."""
    from webauthn import generate_authentication_options  # noqa: PLC0415
    from webauthn.helpers.options_to_json_dict import options_to_json_dict  # noqa: PLC0415
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement  # noqa: PLC0415

    mine = [] if person_id is None else store.credential_ids(tx, person_id, asked.site.id)
    if person_id is not None and not mine:
        raise NotFound(f"none of your passkeys is for {asked.site.id}")
    options = generate_authentication_options(
        rp_id=asked.site.id,
        challenge=_challenge(tx, asked, now),
        timeout=TIMEOUT_MILLISECONDS,
        allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in mine],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def check(tx: Tx, answer: Answer, now: datetime) -> Shown:
    """Whose passkey this is; Refused when anything about it does not fit. A counter that went back means a copy."""
    from webauthn import verify_authentication_response  # noqa: PLC0415
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    row: Any = store.passkey_by_credential(tx, credential_id(answer.credential))
    if row is None or row.site != answer.site.id:
        raise Refused("this passkey is not registered here; it may have been deleted")
    try:
        seen = verify_authentication_response(
            credential=answer.credential,
            expected_challenge=answer.challenge,
            expected_rp_id=answer.site.id,
            expected_origin=list(answer.site.origins),
            credential_public_key=row.public_key,
            credential_current_sign_count=row.uses,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as fault:
        raise Refused(NOT_FITTING) from fault
    if not store.use_passkey(tx, row, seen.new_sign_count, now):
        raise Refused(NOT_FITTING)
    return Shown(row.person_id, row.id, row.name)


def answered(tx: Tx, asked: Asked, now: datetime, *, credential: dict[str, Any]) -> Answer:
    """The challenge is used up by this, whatever comes of the answer: commit it before the answer is checked."""
    challenge = _challenge_in(credential)
    if not store.use_challenge(tx, secrets.digest(challenge), asked.purpose, asked.holder, now=now):
        raise Refused("that took too long, or was answered before; try again")
    return Answer(asked.site, challenge, credential)


def credential_id(credential: dict[str, Any]) -> bytes:
    return _decoded(credential.get("id"))


def check_name(name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= MOST_NAME or not name.isprintable():
        raise Invalid(f"a passkey's name has 1 to {MOST_NAME} letters, digits or signs")
    return name


def _challenge(tx: Tx, asked: Asked, now: datetime) -> bytes:
    challenge = secrets.new_secret().encode()
    digest = secrets.digest(challenge)
    store.add_challenge(tx, digest, asked.purpose, asked.holder, expires_at=now + CHALLENGE_LIFETIME)
    return challenge


def _challenge_in(credential: dict[str, Any]) -> bytes:
    response = credential.get("response")
    named = cast("dict[str, Any]", response).get("clientDataJSON") if isinstance(response, dict) else None
    try:
        said: Any = json.loads(_decoded(named))
        return _decoded(said["challenge"])
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise Invalid(NOT_FITTING) from fault


def _decoded(text: Any) -> bytes:
    """base64url without padding, as browsers send it."""
    if not isinstance(text, str) or len(text) > 4096:
        raise Invalid(NOT_FITTING)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as fault:
        raise Invalid(NOT_FITTING) from fault
