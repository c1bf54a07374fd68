"""All messages of the voice protocol."""
