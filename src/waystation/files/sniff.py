"""What bytes look like: the type of a file by its content, never by its name."""

import codecs

HEAD_BYTES = 4096
TEXT, UNKNOWN = "text/plain", "application/octet-stream"
PICTURES = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
)
OTHERS = (
    (b"%PDF-", 0, "application/pdf"),
    (b"PK\x03\x04", 0, "application/zip"),
    (b"\x1f\x8b", 0, "application/gzip"),
)
NEVER_IN_TEXT = frozenset(range(32)) - frozenset(b"\t\n\r\x0c\x1b")


def media_type(head: bytes) -> str:
    """Of a file that begins so. Text is UTF-8 without control characters; HTML and SVG are text like any other."""
    for magic, at, kind in PICTURES + OTHERS:
        if head[at : at + len(magic)] == magic:
            return kind
    return TEXT if _is_text(head[:HEAD_BYTES]) else UNKNOWN


def _is_text(head: bytes) -> bool:
    if NEVER_IN_TEXT & set(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # its end may be in the middle of a letter
    except UnicodeDecodeError:
        return False
    return True


def is_picture(kind: str) -> bool:
    return kind in {picture for _, _, picture in PICTURES}
