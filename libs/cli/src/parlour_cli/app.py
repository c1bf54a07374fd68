"""The command ``parlour``: its subcommands, each imported when it is used."""

from __future__ import annotations

import importlib.util

from cyclopts import App
from parlour_kit.version import VERSION

app = App(
    name="parlour",
    help="Parlour, a private voice assistant: run it, ask it, look after it.",
    version=VERSION,
    version_flags=["--version"],
    help_flags=["--help", "-h"],
)

app.command(
    "parlour_cli.up.command:up",
    name="up",
    help="Run the whole fleet in the foreground, until Ctrl-C.",
)
app.command(
    "parlour_cli.doctor.command:doctor",
    name="doctor",
    help="Check this machine and say what to do about each finding.",
)
app.command(
    "parlour_cli.credentials:credentials",
    name="credentials",
    help="Show where the running fleet's broker is, and a user's password.",
)
app.command(
    "parlour_cli.prepare.commands:prepare",
    name="prepare",
    help="Make the broker's accounts and access list, for containers or systemd.",
)
app.command(
    "parlour_cli.prepare.commands:certs",
    name="certs",
    help="Make or renew the certificate of the broker's TLS listener.",
)
app.command("parlour_cli.models:app", name="models", help="List, bring, check and remove models.")

app.command("parlour_cli.config:app", name="config", help="Read and change settings, live.")
app.command("parlour_cli.keys.commands:app", name="keys", help="Show and replace keys.")
app.command("parlour_cli.keys.users:app", name="users", help="Who may change settings.")
app.command("parlour_cli.backup.commands:app", name="backup", help="Copies of the configuration.")
app.command("parlour_cli.health.command:health", name="health", help="Show how every process is.")

_TALK = {
    "ask": "Ask the fleet a question, spoken or written, and receive the spoken answer.",
    "say": "Say a text in a room.",
    "watch": "Watch a conversation live.",
    "demo": "Start the fleet, ask it a question, show where the time went, stop it again.",
}
if importlib.util.find_spec("parlour_cli.talk") and importlib.util.find_spec(
    "parlour_cli.talk.commands"
):
    for _name, _help in _TALK.items():
        app.command(f"parlour_cli.talk.commands:{_name}", name=_name, help=_help)
