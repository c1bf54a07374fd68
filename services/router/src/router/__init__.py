"""Holds the conversation of each room."""
