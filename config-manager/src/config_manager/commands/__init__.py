"""What can be asked of config-manager, the same for every front end."""

from config_manager.commands.commands import Commands
from config_manager.commands.model import (
    Caller,
    Request,
    SecretChange,
    Signer,
    SyncState,
    body_digest,
    derived_transaction,
)
from config_manager.commands.refusal import RefusedError, rejected

__all__ = [
    "Caller",
    "Commands",
    "RefusedError",
    "Request",
    "SecretChange",
    "Signer",
    "SyncState",
    "body_digest",
    "derived_transaction",
    "rejected",
]
