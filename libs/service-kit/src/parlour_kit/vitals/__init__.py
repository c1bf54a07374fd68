"""How the machine is: memory, swap, load and temperature, and what a process should do about it."""

from parlour_kit.vitals.judging import Finding, Judgement, Severity
from parlour_kit.vitals.monitor import UnreadableError, VitalsMonitor
from parlour_kit.vitals.readings import Reading, Vitals
from parlour_kit.vitals.sensors import HostSensors, Sensors
from parlour_kit.vitals.settings import VitalsSettings
from parlour_kit.vitals.throttling import Temperatures, ThrottleLevel

__all__ = [
    "Finding",
    "HostSensors",
    "Judgement",
    "Reading",
    "Sensors",
    "Severity",
    "Temperatures",
    "ThrottleLevel",
    "UnreadableError",
    "Vitals",
    "VitalsMonitor",
    "VitalsSettings",
]
