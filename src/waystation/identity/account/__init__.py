"""What people do with their own account: who they are, their password, where they are signed in, their API tokens."""

from waystation.identity.account import jobs, people, resets
from waystation.identity.account.model import (
    Homes,
    Mine,
    NewPassword,
    NewToken,
    Profile,
    Scope,
    WrongPassword,
    check_names,
)
from waystation.identity.account.service import (
    change_email,
    change_names,
    change_password,
    person,
    profile,
    prove,
    replace_password,
)
from waystation.identity.account.tokens import make_token, revoke_token, tokens
from waystation.identity.account.whereabouts import sign_out_app, sign_out_browser, sign_out_elsewhere

routes = ("waystation.identity.account.pages:router", "waystation.identity.account.actions:router")

__all__ = [
    "Homes",
    "Mine",
    "NewPassword",
    "NewToken",
    "Profile",
    "Scope",
    "WrongPassword",
    "change_email",
    "change_names",
    "change_password",
    "check_names",
    "jobs",
    "make_token",
    "people",
    "person",
    "profile",
    "prove",
    "replace_password",
    "resets",
    "revoke_token",
    "routes",
    "sign_out_app",
    "sign_out_browser",
    "sign_out_elsewhere",
    "tokens",
]
