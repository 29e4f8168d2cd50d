from waystation.telemetry.tests.conftest import in_house

__all__ = ["in_house"]
