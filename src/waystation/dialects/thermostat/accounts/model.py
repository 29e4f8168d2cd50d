"""What a user name and a password must be like in this dialect (section 5.4)."""

import re
from typing import Any

from waystation import identity
from waystation.kernel.errors import Invalid

USERNAME = re.compile(r"[\w.@+-]{1,150}")
LONGEST_TEXT = 1000
KINDS = (str.islower, str.isupper, str.isdigit)
LEAST_KINDS = 3
LONG_PASSWORD = 16
LEAST_LIKENESS = 4  # letters: shorter names are in many good passwords
LEAST_OWN = 6  # letters that a password has beside the name


def texts(given: dict[str, Any], *names: str) -> list[str]:
    """The contract's sentence names all of them when one is missing."""
    found = [given.get(name) for name in names]
    if not all(isinstance(text, str) and text.strip() and "\x00" not in text for text in found):
        quoted = [f"'{name}'" for name in names]
        raise Invalid(f"Fields {' and '.join(quoted)} are required")
    if any(len(str(text)) > LONGEST_TEXT for text in found):
        raise Invalid(f"a field has at most {LONGEST_TEXT} characters")
    return [str(text) for text in found]


def check_names(username: str, email: Any) -> tuple[str, str | None]:
    """The address that the account is stored under, and the user name when that is another (docs/decisions/0009)."""
    username = username.strip()
    if not USERNAME.fullmatch(username):
        raise Invalid("a username has 1 to 150 letters, digits and @ . + - _")
    if email is not None and not isinstance(email, str):
        raise Invalid("the email must be text")
    address = identity.check_email(email) if email and email.strip() else ""
    if "@" not in username:
        return address or username, username
    named = identity.check_email(username)
    if address and address.lower() != named.lower():
        raise Invalid("a username with an @ must be the account's own e-mail address")
    return named, None


def check_password(password: str, username: str, address: str) -> None:
    """The site's own rules, and those that this dialect promises beside them."""
    identity.check_password(password, address)
    kinds = sum(any(kind(letter) for letter in password) for kind in KINDS)
    other = any(not letter.isalnum() for letter in password)
    if password.isdigit():
        raise Invalid("the password may not be digits only")
    if kinds + other < LEAST_KINDS and len(password) < LONG_PASSWORD:
        raise Invalid(
            "the password needs three of lower case, upper case, digits and other characters, or 16 characters"
        )
    name, lowered = username.lower(), password.lower()
    if len(name) >= LEAST_LIKENESS and name in lowered and len(lowered) - len(name) < LEAST_OWN:
        raise Invalid("the password is too much like the username")


def shown(row: Any) -> dict[str, Any]:
    """A person's row, as this dialect's clients know people. An account without an address was given its user name."""
    return {"id": row.id, "username": username_of(row), "email": row.email if "@" in row.email else ""}


def username_of(row: Any) -> str:
    return row.username or row.email
