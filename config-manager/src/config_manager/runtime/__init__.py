"""What keeps the fleet in step with the database: leading, publishing, reconciling."""
