"""Files and sync packages of DropSync devices: bytes in, bytes out, and what became of them."""
