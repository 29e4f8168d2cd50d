"""Pages that read several features: devices with their values, one device, the system, what is managed."""

from waystation.dashboard import actions, pages
from waystation.dashboard.activity import api as activity_api
from waystation.dashboard.activity import pages as activity_pages
from waystation.dashboard.activity import presence
from waystation.dashboard.admin import actions as admin_actions
from waystation.dashboard.admin import pages as admin_pages
from waystation.dashboard.boards import actions as boards_actions
from waystation.dashboard.boards import api as boards_api
from waystation.dashboard.boards import links
from waystation.dashboard.boards import pages as boards_pages
from waystation.dashboard.console import actions as console_actions
from waystation.dashboard.console import pages as console_pages
from waystation.dashboard.exports import actions as exports_actions
from waystation.dashboard.exports import pages as exports_pages
from waystation.files import packages
from waystation.kernel.feature import Every, Feature

feature = Feature(
    name="dashboard",
    routes=(
        pages.router,
        actions.router,
        activity_api.router,
        activity_pages.router,
        boards_api.router,
        boards_pages.router,
        boards_actions.router,
        console_pages.router,
        console_actions.router,
        exports_pages.router,
        exports_actions.router,
        admin_pages.router,
        admin_actions.router,
    ),
    jobs=(
        Every(3600, links.forget),
        Every(15, presence.look, own_transactions=True),
        Every(3600, presence.forget),
    ),
    listens={packages.PackageStateChanged: presence.package_moved},
)

__all__ = ["feature"]
