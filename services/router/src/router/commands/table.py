"""Every command: what is wanted, by which phrases, and what counts for one. Data.

Phrases are explained in ``templates.py``. English only: another language is another table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Intent = Literal[
    "stop", "repeat", "louder", "quieter", "volume", "volume_level", "time", "date", "greeting",
    "thanks", "say", "timer_set", "timer_left", "timer_list", "timer_cancel", "timer_cancel_all",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wanted.

    Attributes:
        intent: what.
        phrases: how it is said.
        examples: utterances that are this; the tests try each of them.
        order: whether "could you" may come before it.
    """

    intent: Intent
    phrases: tuple[str, ...]
    examples: tuple[str, ...]
    order: bool = True


# fmt: off
RULES: tuple[Rule, ...] = (
    Rule(
        "stop",
        (
            "ok|okay|no? stop stop? stop?",
            "ok|okay|no? stop it|that|talking|speaking|now|everything",
            "cancel that|it?",
            "ok|okay|no? never mind",
            "nevermind",
            "forget it|that",
            "ok|okay|no? be quiet|silent",
            "quiet|silence|hush|enough|shush",
            "shut up",
            "that's|that enough",
            "that is enough",
        ),
        (
            "Stop.", "Stop, stop, stop!", "Okay, stop.", "Please stop talking.", "Cancel that.",
            "Never mind.", "Nevermind", "Be quiet!", "Hey Jarvis, shut up.", "That's enough.",
            "Could you please be quiet?", "Forget it.", "Stop, please.", "Computer, stop.",
        ),
    ),
    Rule(
        "repeat",
        (
            "say that|it again",
            "say that|it once more",
            "repeat that|it? again|please?",
            "repeat what you said",
            "repeat your|the last? answer|reply|sentence",
            "what did you just? say",
            "what was it|that you said",
            "pardon me?",
            "i didn't|couldn't hear|catch that|you",
            "once more",
            "come again",
        ),
        (
            "Say that again.", "Can you say that again, please?", "Repeat that.", "Repeat.",
            "What did you say?", "What did you just say?", "Pardon?", "Could you repeat that?",
            "I didn't hear you.", "Repeat your last answer.", "Once more.",
        ),
    ),
    Rule(
        "louder",
        (
            "a? bit|little? louder",
            "speak|talk|be a? bit|little? louder",
            "speak up",
            "volume up",
            "turn the|your volume up",
            "turn up the|your volume",
            "increase|raise the|your volume",
            "make it|yourself louder",
        ),
        (
            "Louder!", "A bit louder, please.", "Can you speak louder?", "Volume up.", "Speak up.",
            "Turn the volume up.", "Turn up the volume.", "Increase the volume.",
        ),
    ),
    Rule(
        "quieter",
        (
            "a? bit|little? quieter|softer",
            "speak|talk|be a? bit|little? quieter|softer",
            "speak|talk more? softly|quietly",
            "volume down",
            "turn the|your volume down",
            "turn down the|your volume",
            "decrease|lower|reduce the|your volume",
            "make it|yourself quieter",
            "not so loud",
            "you're|you too loud",
            "you are too loud",
        ),
        (
            "Quieter.", "A little quieter, please.", "Speak more quietly.", "Volume down.",
            "Turn the volume down.", "Turn down the volume.", "Lower the volume.", "Not so loud!",
            "You're too loud.",
        ),
    ),
    Rule(
        "volume",
        (
            "the? volume to|at? {percent}",
            "set|turn|change|put the|your? volume to|at? {percent}",
            "turn the|your? volume up|down to {percent}",
            "{percent} volume",
        ),
        (
            "Set the volume to fifty.", "Volume to 30 percent.", "Volume 80%",
            "Please set the volume to one hundred and twenty percent.", "Set volume to a hundred.",
            "Turn the volume up to 90.", "50 percent volume.", "Can you put the volume at 40?",
        ),
    ),
    Rule(
        "volume_level",
        (
            "what is the|your volume",
            "what's the|your volume",
            "how loud are you",
            "what volume are you at",
        ),
        (
            "What is the volume?", "What's your volume?", "How loud are you?",
        ),
        order=False,
    ),
    Rule(
        "time",
        (
            "what time is it",
            "what time is it right now",
            "what's the current? time",
            "what is the current? time",
            "do you know what time it is",
            "do|have you have|got the time",
            "the? time",
            "current time",
            "how late is it",
        ),
        (
            "What time is it?", "What's the time?", "What is the time now?", "What time is it now?",
            "Do you know what time it is?", "Do you have the time?", "The time, please.",
            "Hey Parlour, what time is it right now?",
        ),
        order=False,
    ),
    Rule(
        "time",
        (
            "tell|give me the current? time",
            "tell me what time it is",
        ),
        (
            "Tell me the time.", "Could you tell me what time it is, please?",
        ),
    ),
    Rule(
        "date",
        (
            "what day is it|today today?",
            "what day is it of the week",
            "what day of the week is it|today today?",
            "what|what's date is it|today today?",
            "what's the|today's date today?",
            "what is the|today's date today?",
            "what's today",
            "what is today",
            "the? date",
            "today's date",
            "which day is it|today today?",
        ),
        (
            "What day is it?", "What day is today?", "What's the date?", "What is today's date?",
            "What's the date today?", "What day of the week is it?", "Today's date, please.",
        ),
        order=False,
    ),
    Rule(
        "date",
        (
            "tell|give me the|today's date",
            "tell me what day it is today?",
        ),
        (
            "Tell me the date.", "Can you tell me what day it is?",
        ),
    ),
    Rule(
        "greeting",
        (
            "hello|hi|hey there?",
            "hello hello",
            "good {part}",
        ),
        (
            "Hello!", "Hi there.", "Hey.", "Good morning.", "Good evening, Jarvis.", "Good night.",
        ),
        order=False,
    ),
    Rule(
        "thanks",
        (
            "thanks",
            "thank you",
            "thanks very|so much",
            "thank you very|so much",
            "thanks a lot",
            "many thanks",
        ),
        (
            "Thank you.", "Thanks.", "Thank you very much!", "Thanks a lot, Parlour.",
        ),
        order=False,
    ),
    Rule(
        "say",
        (
            "say {line}",
            "repeat after me {text}",
        ),
        (
            "Say dinner is ready.", "Say hello.", "Repeat after me: the rain in Spain.",
            "Could you say good night, children?", "Repeat after me, I will not stop.",
        ),
    ),
    Rule(
        "timer_set",
        (
            "a? timer for|of {duration}",
            "set|start|make|add a|an|another|new|the? {name}? timer for|of|to {duration}",
            "set|start|make|add a|an|another|new? timer for|of|to {duration} called|named {name}",
            "set|start|make|add a|an|another|new? timer for|of {duration} for the|my? {name}",
            "set|start|make|add a|an|another|new? timer called|named {name} for|of {duration}",
            "set|start|make|add a|an|another|new? {duration} {name}? timer",
            "a|an? {duration} {name}? timer",
        ),
        (
            "Set a timer for ten minutes.", "Ten minute timer.", "Timer for 90 seconds.",
            "Set a pasta timer for 1 hour and 5 minutes.", "Start a 10-minute timer, please.",
            "Can you set a timer for half an hour?", "Set a 5 minute egg timer.",
            "Set a timer for an hour and a half for the roast.", "Set a timer for 1.5 hours.",
            "Set a timer called pizza for twelve minutes.", "Two and a half minute tea timer.",
            "Set another timer for three quarters of an hour.", "Set the timer for five minutes.",
        ),
    ),
    Rule(
        "timer_left",
        (
            "how much time is left|remaining",
            "how long is left|remaining",
            "how much time is left|remaining on|for the|my {name}? timer",
            "how long is left|remaining on|for the|my {name}? timer",
            "how much time|longer does the|my {name}? timer have left?",
            "how much longer on|for the|my {name}? timer",
            "how long until the|my {name}? timer is done|up|over|finished",
            "when is the|my {name}? timer done|up|over|finished",
        ),
        (
            "How much time is left?", "How much time is left on the timer?",
            "How long is left on the pasta timer?", "How much longer on my egg timer?",
            "How long until the timer is done?", "When is the pasta timer done?",
        ),
        order=False,
    ),
    Rule(
        "timer_left",
        (
            "check the|my {name}? timer",
            "timer status",
            "tell me how much time is left|remaining",
            "tell me how much time is left|remaining on the|my {name}? timer",
        ),
        (
            "Check the timer.", "Timer status.",
            "Can you tell me how much time is left on the pasta timer?",
        ),
    ),
    Rule(
        "timer_list",
        (
            "list|show the|my|all? timers",
            "list|show all my|the timers",
            "list all of my|the timers",
        ),
        (
            "List timers.", "List my timers.", "Show all my timers.", "Can you list the timers?",
        ),
    ),
    Rule(
        "timer_list",
        (
            "what|which timers are there|running|set|active",
            "what|which timers do i have",
            "what|which are my timers",
            "how many timers do i have",
            "how many timers are there|running|set|active",
            "are there any timers running|set?",
            "do i have any timers running|set?",
        ),
        (
            "What timers are running?", "What timers do I have?", "Which are my timers?",
            "How many timers are there?", "Are there any timers?",
        ),
        order=False,
    ),
    Rule(
        "timer_cancel",
        (
            "cancel|stop|delete|remove|end|clear the|my {name}? timer",
            "cancel|stop|delete|remove|end|clear the|my {duration} timer",
            "cancel|stop timer",
            "turn off the|my {name}? timer",
            "turn the|my {name}? timer off",
            "stop the alarm|ringing",
            "stop ringing",
        ),
        (
            "Cancel the timer.", "Cancel the pasta timer.", "Stop the timer, please.",
            "Delete my ten minute timer.", "Turn off the egg timer.", "Stop ringing!",
        ),
    ),
    Rule(
        "timer_cancel_all",
        (
            "cancel|stop|delete|remove|end|clear all timers",
            "cancel|stop|delete|remove|end|clear all the|my timers",
            "cancel|stop|delete|remove|end|clear all of my|the timers",
            "cancel|stop|delete|remove|end|clear my|the timers",
            "cancel|stop|delete|remove|end|clear every timer",
        ),
        (
            "Cancel all timers.", "Cancel all my timers.", "Delete every timer.",
            "Clear my timers.",
        ),
    ),
)
# fmt: on
