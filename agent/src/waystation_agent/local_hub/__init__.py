"""A small honest hub for trying and testing the agent without one: what it acknowledges is on disk, and counted.

`python -m waystation_agent.local_hub FILE` serves on port 8000 and takes any code; a line typed there, such as `ping`
or `valve {"minutes": 5}`, is a command for every device. The real one is `waystation serve`.
"""

from waystation_agent.local_hub.hub import LocalHub
from waystation_agent.local_hub.wire import Refusal

__all__ = ["LocalHub", "Refusal"]
