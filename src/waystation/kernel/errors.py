"""The closed vocabulary of failure; only the edges translate it into a protocol's answer."""


class DomainError(Exception):
    """Something the caller can act on. The text is one sentence for a person; `word` is for machines."""

    status = 400
    word = "error"

    def __init__(self, sentence: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.retry_after_seconds = retry_after_seconds


class Invalid(DomainError):
    status, word = 400, "invalid"


class Unauthenticated(DomainError):
    status, word = 401, "unauthenticated"


class Refused(DomainError):
    status, word = 403, "refused"


class NotFound(DomainError):
    status, word = 404, "not_found"


class Conflict(DomainError):
    status, word = 409, "conflict"


class TooLarge(DomainError):
    status, word = 413, "too_large"


class TooMany(DomainError):
    status, word = 429, "too_many"


class Unavailable(DomainError):
    status, word = 503, "unavailable"


class StorageFull(DomainError):
    status, word = 507, "storage_full"
