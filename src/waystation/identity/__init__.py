"""Who people are: accounts, sessions, API tokens and the one-time set-up link."""

from waystation.identity import account, jobs, logins, oidc, overview, signin
from waystation.identity.access import by_session, caller_of, cookie_name, is_https, with_session
from waystation.identity.events import AddressProven, PersonSetUp, RoleFromOutside
from waystation.identity.factors import front, strength
from waystation.identity.factors.access import came_from, let_in
from waystation.identity.model import LEAST_PASSWORD, Caller, check_email, check_password
from waystation.identity.service import (
    check_account,
    end_session,
    hash_password,
    new_setup_link,
    new_token,
    open_session,
    revoke_token,
    sign_up,
)
from waystation.identity.store import (
    anybody_called,
    choose_home,
    is_operator,
    person,
    person_by_email,
    person_by_id,
    person_by_uid,
    tokens,
)
from waystation.kernel.feature import Every, Feature

feature = Feature(
    name="identity",
    routes=("waystation.identity.pages:router", *front.routes, *account.routes, *oidc.routes),
    jobs=(
        Every(3600, jobs.forget_idle_sessions),
        Every(3600, jobs.forget_old_logins),
        Every(3600, oidc.jobs.forget_used_states),
        Every(3600, account.jobs.forget_reset_links),
        *front.sweeps,
    ),
)

__all__ = [
    "LEAST_PASSWORD",
    "AddressProven",
    "Caller",
    "PersonSetUp",
    "RoleFromOutside",
    "account",
    "anybody_called",
    "by_session",
    "caller_of",
    "came_from",
    "check_account",
    "check_email",
    "check_password",
    "choose_home",
    "cookie_name",
    "end_session",
    "feature",
    "hash_password",
    "is_https",
    "is_operator",
    "let_in",
    "logins",
    "new_setup_link",
    "new_token",
    "oidc",
    "open_session",
    "overview",
    "person",
    "person_by_email",
    "person_by_id",
    "person_by_uid",
    "revoke_token",
    "sign_up",
    "signin",
    "strength",
    "tokens",
    "with_session",
]
