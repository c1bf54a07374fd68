"""Owns the configuration of the fleet."""
