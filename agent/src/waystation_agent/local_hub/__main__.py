"""`python -m waystation_agent.local_hub FILE`."""

import json
import sys
from pathlib import Path

from waystation_agent.local_hub.hub import LocalHub

hub = LocalHub(Path(sys.argv[1]), 8000)
sys.stdout.write(f"{hub.url} accepts any code of 12 letters. A line is a command for every device; Ctrl-C ends it.\n")
for line in sys.stdin:
    name, _, parameters = line.strip().partition(" ")
    if name:
        hub.errands.order(name, json.loads(parameters or "{}"), once=name in {"reboot", "restart-agent"})
