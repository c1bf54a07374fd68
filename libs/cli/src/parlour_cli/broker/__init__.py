"""The broker of a fleet without Docker: its users, its files, its choice, where it runs."""
