"""Thinks: streams the answer of a language model."""
