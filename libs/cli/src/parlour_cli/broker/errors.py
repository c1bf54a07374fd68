"""Why there is no broker."""

from __future__ import annotations

from parlour_kit.errors import ParlourError


class FleetError(ParlourError):
    """The root of what stops the fleet of this machine."""

    code = "FLEET"


class BrokerError(FleetError):
    """There is no broker as it was asked for."""

    code = "BROKER"


class AlreadyRunningError(FleetError):
    """A fleet runs on this data directory."""

    code = "ALREADY_RUNNING"


class NotRunningError(FleetError):
    """No fleet runs on this data directory."""

    code = "NOT_RUNNING"


class DataDirError(FleetError):
    """The data directory cannot be used."""

    code = "DATA_DIR"


class SettingsError(FleetError):
    """Settings that a first start should begin with are wrong."""

    code = "SETTINGS_INVALID"


class UnknownUserError(FleetError):
    """The broker has no such user."""

    code = "UNKNOWN_USER"
