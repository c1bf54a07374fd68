"""The microphone and the loudspeaker of one room."""
