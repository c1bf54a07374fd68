"""The doors to the command layer: MQTT and REST, with the same rules at both."""
