"""Keys, users and tokens of a fleet on this machine."""
