"""Engines: the only modules of this package that import a heavy library."""
