"""Frames, WAV, resampling and speech segmentation."""
