"""Brokers, fakes with timelines and a virtual clock for tests."""
