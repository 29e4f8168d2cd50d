"""What identity tells its siblings, inside the transaction in which it happens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PersonSetUp:
    """The first person has set this hub up."""

    person_id: int


@dataclass(frozen=True, slots=True)
class RoleFromOutside:
    """What an identity provider makes of a person in the first home: at least `role`, or just that (`""` is none) when
    it `lowers`. Owners stay owners.
    """

    person_id: int
    role: str
    lowers: bool = False


@dataclass(frozen=True, slots=True)
class AddressProven:
    """Somebody new has signed up, and an identity provider vouches that the address is theirs."""

    person_id: int
    email: str
