"""What every Parlour process shares."""
