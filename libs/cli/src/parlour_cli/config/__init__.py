"""``parlour config``: the settings of the running fleet."""

from parlour_cli.config.commands import app

__all__ = ["app"]
