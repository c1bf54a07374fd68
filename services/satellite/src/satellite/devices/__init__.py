"""Microphones and loudspeakers, real and virtual."""
