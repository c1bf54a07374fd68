"""``parlour health``: how every process is."""
