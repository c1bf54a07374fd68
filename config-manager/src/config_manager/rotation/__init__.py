"""The rotation of the three keys, in steps that a kill can interrupt anywhere."""

from config_manager.rotation.key_rotations import KeyRotations
from config_manager.rotation.ports import Grace

__all__ = ["Grace", "KeyRotations"]
