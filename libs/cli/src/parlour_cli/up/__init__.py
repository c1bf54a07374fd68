"""``parlour up``: the fleet of one machine in the foreground, without Docker."""
