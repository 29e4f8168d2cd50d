"""The agent of `agent/`, as installed beside the hub."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firmware.conformance.client import Client, Manner

PROGRAM = str(Path(sys.executable).with_name("waystation-agent"))
COUNTING = """#!/bin/sh
# The next number. The one before is in the spool by now, if it was the same run of the agent that asked for it.
cd "$(dirname "$0")"
read -r n run 2>/dev/null < last || n=0
[ "$run" = "$PPID" ] && echo "$n" >> kept.txt
n=$((n + 1))
echo "$n $PPID" > last
echo "$n"
"""
NOTING = """#!/bin/sh
# Repeatable: by the command's id it knows what it has noted before the agent died.
cd "$(dirname "$0")"
grep -sqx "$WAYSTATION_COMMAND" noted.txt || { echo "$1" >> notes.txt; echo "$WAYSTATION_COMMAND" >> noted.txt; }
echo "{\\"noted\\": $(wc -l < notes.txt)}"
"""
RESTART = {"reboot": "restart-agent"}  # the machine of the tests stays on


class Agent(Client):
    name = "agent"

    def command_line(self, server: str, claim: str, manner: Manner) -> list[str]:
        if claim:
            self._state.mkdir(exist_ok=True)
            self._set_up(server, claim, wait_seconds=30 if manner.long_poll else 0)
        return [PROGRAM, "run", "--data", str(self._state), "--period", str(manner.period_seconds), "--server", server]

    def asked(self, doing: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
        return RESTART.get(doing, doing), dict(parameters) or None

    def boots(self) -> int:
        """It starts anew within one process."""
        return self.log.count(" INFO started ")

    def package_folder(self, kind: str) -> Path | None:
        current = self._state / "packages" / kind / "current"
        return current.resolve() if current.exists() else None

    @property
    def _state(self) -> Path:
        return self.folder / "state"

    def _set_up(self, server: str, claim: str, *, wait_seconds: float) -> None:
        counting, noting = (self._script(name, text) for name, text in (("count.sh", COUNTING), ("note.sh", NOTING)))
        say = [PROGRAM, "say", "--data", str(self._state), "--severity", "{severity}", "{content}"]
        upload = [PROGRAM, "upload", f"{self.folder}/{{file}}", "--data", str(self._state)]
        (self._state / "agent.toml").write_text(
            f"""
            system = false
            [commands]
            wait_seconds = {wait_seconds}
            [packages]
            poll_seconds = 0.5
            [[sensor]]
            kind = "exec"
            command = ["{counting}"]
            metric = "count"
            [[script]]
            name = "note"
            command = ["{noting}", "{{text}}"]
            repeatable = true
            [[script]]
            name = "upload"
            command = {json.dumps(upload)}
            [[script]]
            name = "say"
            command = {json.dumps(say)}
            """
        )
        words = [PROGRAM, "pair", claim, "--server", server, "--name", self.folder.name, "--data", str(self._state)]
        subprocess.run(words, check=True, env=os.environ, capture_output=True)

    def _script(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)
