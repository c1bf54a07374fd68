"""Talking to a running fleet: ask, say, watch, and the demo."""
