"""What can go wrong with a hub, sorted by what to do about it.

LinkError   no hub, no answer, or half of one       try again, later
Busy        the hub asks for patience               try again after `retry_seconds`
Denied      the credential is wrong or revoked      mend the credential
Refused     the hub understood, and will not        do not send this again as it is
Damaged     bytes do not have the hash they should  fetch or send them again
FlashError  the flash is full or broken             make room
"""


class WaystationError(Exception):
    """The base of all others."""


class LinkError(WaystationError):
    """The hub was not reached, did not answer in time, or answered in something else than HTTP."""


class Damaged(WaystationError):
    """Bytes that arrived or were kept are not the bytes they should be."""


class FlashError(WaystationError):
    """The flash took no more, or gave no more."""


class Problem(WaystationError):
    """The hub said no: its status, and its sentence for people."""

    def __init__(self, status, detail="", retry_seconds=0):
        super().__init__("%d %s" % (status, detail))
        self.status = status
        self.detail = detail
        self.retry_seconds = retry_seconds


class Busy(Problem):
    """What a status says of the moment (408, 423, 425, 429, 5xx): send it again after `retry_seconds`."""


class Denied(Problem):
    """401, 403: mend the credential first."""


class Refused(Problem):
    """Any other 4xx: it would be refused again."""


def problem(status, detail, retry_seconds):
    """The error that a status stands for. What is no refusal is no hub: a portal that sends us elsewhere, for one."""
    if status < 400:
        return LinkError("status %d" % status)
    if status in (401, 403):
        return Denied(status, detail)
    if status in (408, 423, 425, 429) or status >= 500:
        return Busy(status, detail, retry_seconds)
    return Refused(status, detail)
