"""What packages tell their siblings, inside the transaction in which it happens."""

from dataclasses import dataclass

from waystation.files.packages.model import Package, State


@dataclass(frozen=True, slots=True)
class PackageStateChanged:
    """A device has said how far a package has got."""

    package: Package
    device_id: int
    device_key: str
    state: State
