"""What `mip` installs is what is there."""

import json

from firmware.micropython.tests.interpreter import FOLDER


def test_the_package_for_mip_lists_every_module() -> None:
    listed = json.loads((FOLDER / "package.json").read_text())["urls"]
    assert listed == [[f"waystation/{path.name}"] * 2 for path in sorted((FOLDER / "waystation").glob("*.py"))]
