"""Hears a turn: endpoint and transcript."""
