"""Canonical bytes, signatures and trusted configuration, without sockets."""
