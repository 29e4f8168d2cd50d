from waystation.telemetry.tests.conftest import in_any_house, in_house

__all__ = ["in_any_house", "in_house"]
