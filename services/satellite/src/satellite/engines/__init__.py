"""Wake words; their libraries are imported here alone."""
