"""The look and the live parts of every page; nothing about one feature, and nothing of the house is imported here."""

from waystation.web.environment import CONTENT_SECURITY_POLICY, STATIC, STATIC_MOUNT, STATIC_URL, environment
from waystation.web.format import chart_groups

__all__ = ["CONTENT_SECURITY_POLICY", "STATIC", "STATIC_MOUNT", "STATIC_URL", "chart_groups", "environment"]
