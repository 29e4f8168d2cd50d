"""The few ways in which the agent fails, each with a sentence that a person can act on."""


class BadInput(Exception):
    """What was typed, pasted or set cannot be used; nothing was changed."""


class Fault(Exception):
    """The agent cannot do what was asked, although it was asked correctly."""


class Unreachable(Exception):
    """The hub gave no complete answer: nobody knows whether it acted on the request."""
