from tests.browser import chromium, open_window
from tests.oidc_provider import oidc_provider, there

__all__ = ["chromium", "oidc_provider", "open_window", "there"]
