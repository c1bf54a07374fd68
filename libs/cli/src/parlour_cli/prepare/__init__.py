"""What a fleet needs that ``parlour up`` does not start: accounts, access list, certificates."""
