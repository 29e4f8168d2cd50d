"""Who people are: accounts, sessions, API tokens and the one-time set-up link."""

from waystation.identity import cli, jobs, pages
from waystation.identity.access import caller_of
from waystation.identity.events import PersonSetUp
from waystation.identity.model import Caller
from waystation.identity.service import new_setup_link, new_token, revoke_token
from waystation.identity.store import tokens
from waystation.kernel.feature import Every, Feature

feature = Feature(name="identity", routes=(pages.router,), jobs=(Every(3600, jobs.forget_idle_sessions),), cli=cli.app)

__all__ = ["Caller", "PersonSetUp", "caller_of", "feature", "new_setup_link", "new_token", "revoke_token", "tokens"]
