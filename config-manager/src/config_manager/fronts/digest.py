"""What makes two requests the same, whichever front they came through."""

from config_manager.commands import body_digest, derived_transaction

__all__ = ["body_digest", "derived_transaction"]
