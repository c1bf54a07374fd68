"""A service's side of signed configuration: what it does with each message, and when."""
