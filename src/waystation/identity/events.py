"""What identity tells its siblings, inside the transaction in which it happens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PersonSetUp:
    """The first person has set this hub up."""

    person_id: int
