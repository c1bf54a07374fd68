"""Copies of the configuration: how they are, how one is put back, and whether that would work."""
