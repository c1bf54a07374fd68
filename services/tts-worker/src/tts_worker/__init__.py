"""Speaks: sentence by sentence, with word times."""
