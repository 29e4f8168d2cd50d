"""What can be sampled. A sensor returns the values it could read, and leaves out what it could not."""

from collections.abc import Callable, Mapping

Sensor = Callable[[], Mapping[str, float]]
"""Called once per period, always from the same thread. Metric names carry their unit: `cpu_temperature_c`."""
