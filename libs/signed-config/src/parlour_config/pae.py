"""Pre-authentication encoding (DSSE): what is signed names its kind and its length.

With it a signature over one kind of document can never pass for one over another.
"""

from __future__ import annotations

CONFIG_UPDATE = "application/vnd.parlour.config-update.v1+json"
KEYSET = "application/vnd.parlour.keyset.v1+json"
LEASE = "application/vnd.parlour.lease.v1+json"
RESTART = "application/vnd.parlour.restart.v1+json"
LKG = "application/vnd.parlour.lkg.v1+json"


def pae(kind: str, body: bytes) -> bytes:
    """``DSSEv1 SP len(kind) SP kind SP len(body) SP body``, lengths in bytes, in decimal."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(body), body)
