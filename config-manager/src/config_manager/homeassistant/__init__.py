"""Home Assistant sees the fleet: its health, its times, and every setting that it may change."""
