"""Signing in with an account that somebody else keeps: any OpenID Connect provider, with local sign-in beside it."""

from waystation.identity.oidc import jobs
from waystation.identity.oidc.provider import Provider
from waystation.identity.oidc.section import offered, section
from waystation.identity.oidc.service import Guests

routes = ("waystation.identity.oidc.pages:router", "waystation.identity.oidc.actions:router")

__all__ = ["Guests", "Provider", "jobs", "offered", "routes", "section"]
