"""What can be wrong with the router's settings."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class ExpressionError(ParlourError):
    """The end of a sentence cannot be searched for with this expression."""

    code = "BOUNDARY_EXPRESSION"
    hint = "Simplify router_stream_boundary_regex, or reset it to its default."


class ZoneError(ParlourError):
    """The machine has no such time zone."""

    code = "TIME_ZONE_UNKNOWN"
    hint = "Name one such as Europe/Berlin, or leave time_zone empty for the machine's own."
