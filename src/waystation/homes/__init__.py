"""Homes, and what people may do in them."""

from waystation.homes.access import HomeAdmin, HomeOwner, HomeUser, HomeViewer
from waystation.homes.model import Home, Membership, Role
from waystation.homes.service import own_the_home, the_home
from waystation.homes.store import first_home
from waystation.identity import PersonSetUp
from waystation.kernel.feature import Feature

feature = Feature(name="homes", listens={PersonSetUp: own_the_home})

__all__ = [
    "Home",
    "HomeAdmin",
    "HomeOwner",
    "HomeUser",
    "HomeViewer",
    "Membership",
    "Role",
    "feature",
    "first_home",
    "the_home",
]
