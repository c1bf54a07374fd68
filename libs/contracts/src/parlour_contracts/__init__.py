"""Every topic and payload of Parlour. Depends on pydantic alone."""
