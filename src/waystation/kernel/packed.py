"""Bodies with a Content-Encoding."""

import zlib

from waystation.kernel.errors import Invalid, TooLarge


def unpacked(body: bytes, encoding: bytes, most_bytes: int) -> bytes:
    """The body without its Content-Encoding; a gzip bomb is given up at the limit, before it takes memory."""
    if encoding in (b"", b"identity"):
        return body
    if encoding not in (b"gzip", b"x-gzip"):
        raise Invalid(f"Content-Encoding {encoding[:20].decode('latin-1')!r} is not understood; send gzip or none")
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(body, most_bytes + 1)
    except zlib.error as fault:
        raise Invalid("the body is not gzip, though its Content-Encoding says so") from fault
    if len(plain) > most_bytes:
        raise TooLarge(f"the unpacked body is larger than {most_bytes} bytes; send it in parts")
    if not stream.eof or stream.unused_data:
        raise Invalid("the gzip body is cut short or has something behind it")
    return plain
