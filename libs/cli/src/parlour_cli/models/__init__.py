"""``parlour models``: the operator's side of the model store."""

from parlour_cli.models.commands import app

__all__ = ["app"]
