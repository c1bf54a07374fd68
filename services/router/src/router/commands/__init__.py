"""What is answered without a language model: fixed phrases of plain English. Pure.

A command is a whole utterance of the table in ``table.py``. Whatever has one word more or less is
for the language model: "stop" is a command, "where does the bus stop" is a question.
"""

from router.commands.table import RULES, Intent, Rule
from router.commands.understanding import Command, understand

__all__ = ["RULES", "Command", "Intent", "Rule", "understand"]
