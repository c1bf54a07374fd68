"""The command parlour."""
