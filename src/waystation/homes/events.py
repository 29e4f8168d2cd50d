"""What homes tell their siblings, inside the transaction in which it happens."""

from dataclasses import dataclass

from waystation.kernel.audit import Actor


@dataclass(frozen=True, slots=True)
class HomeDeleted:
    """The home is about to go; whoever keeps something of it deletes that too, in `by`'s name."""

    home_id: int
    by: Actor
