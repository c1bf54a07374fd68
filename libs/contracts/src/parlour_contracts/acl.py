"""The broker's access list, rendered from the registry; never edited by hand.

Every instance has a user of its own name; what it may do follows from the service that it is
an instance of. A satellite's user is its room, so one pattern locks it into ``voice/%u/#``; as an
instance of ``satellite`` it has beside that what every process has.
A person may talk to every room, watch, and ask for changes under the own name. Home Assistant
is no person: it sees how the fleet is and asks for changes, but hears and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from parlour_contracts.topics import TOPICS, TopicBase, strip_share

ANY = "*"
"""A role of the registry: every process."""

OWN = "own"
"""Every process, on the levels of its own service and instance."""

USER = "user"
"""Everybody with an account, on the level of the own name."""

HOME_ASSISTANT = "homeassistant"
"""The account that Home Assistant uses: it sees how the fleet is, and hears nobody."""

DISCOVERY_PREFIX = "homeassistant"
"""First level of Home Assistant's topics, unless somebody chose another one."""

PREFIX_PATTERN = r"[A-Za-z0-9_-]{1,64}"

KEEPER = "config-manager"
"""Gives the others their configuration and has none of its own."""

SATELLITE = "satellite"
"""Its instances are rooms."""

Rule = tuple[str, str]
"""``read``, ``write`` or ``readwrite``, and a topic filter."""


def rules(service: str, instance: str) -> list[Rule]:
    """What an instance may do; what a satellite may do in its room is a pattern's."""
    return _merged(
        (verb, _filter(topic, **_own_level(topic, verb, service, instance)))
        for topic, verb, roles in _grants()
        if (service in roles and not (service == SATELLITE and "site" in topic.params))
        or ANY in roles
        or (OWN in roles and service != KEEPER)
    )


def person_rules() -> list[Rule]:
    """What every person with an account may do."""
    return _merged((verb, topic.filter()) for topic, verb, roles in _grants() if "person" in roles)


def home_assistant_rules() -> list[Rule]:
    """What Home Assistant may do beside asking under its own name."""
    return _merged(
        (verb, topic.filter()) for topic, verb, roles in _grants() if HOME_ASSISTANT in roles
    )


def satellite_patterns() -> list[Rule]:
    """What a satellite may do in the room that it is named after (``%u``)."""
    return _merged(
        (verb, topic.filter(site="%u"))
        for topic, verb, roles in _grants()
        if "satellite" in roles and "site" in topic.params
    )


def user_patterns() -> list[Rule]:
    """What everybody may do under the own name (``%u``): ask config-manager, read its answers."""
    found: dict[Rule, None] = {}
    for topic, verb, roles in _grants():
        if USER in roles:
            prefix, _, _ = topic.pattern.partition("{user}")
            found[verb, f"{prefix}%u/#"] = None
    return list(found)


def render_acl(
    instances: Mapping[str, str], people: Iterable[str], discovery_prefix: str = DISCOVERY_PREFIX
) -> str:
    """The text of Mosquitto's ``acl_file``.

    Args:
        instances: name of each instance → its service.
        people: broker users of persons; the one named :data:`HOME_ASSISTANT` is none.
        discovery_prefix: first level of Home Assistant's topics.
    """
    lines = ["# Rendered from the topic registry. Do not edit.", ""]
    lines += [f"pattern {verb} {pattern}" for verb, pattern in satellite_patterns()]
    lines += [f"pattern {verb} {pattern}" for verb, pattern in user_patterns()]
    for instance, service in instances.items():
        lines += ["", f"user {instance}"]
        lines += [f"topic {verb} {topic}" for verb, topic in rules(service, instance)]
    for person in people:
        lines += ["", f"user {person}"]
        granted = home_assistant_rules() if person == HOME_ASSISTANT else person_rules()
        lines += [f"topic {verb} {topic}" for verb, topic in granted]
    text = "\n".join(lines) + "\n"
    return text.replace(f" {DISCOVERY_PREFIX}/", f" {discovery_prefix}/")


def _filter(topic: TopicBase, **levels: str) -> str:
    """What a role may touch; below a user's name everything, since people choose their topics."""
    if "user" in topic.params:
        return topic.pattern.partition("{user}")[0] + "#"
    return topic.filter(**levels)


def _grants() -> Iterator[tuple[TopicBase, str, tuple[str, ...]]]:
    for topic in TOPICS:
        yield topic, "write", topic.writers
        yield topic, "read", topic.readers


def _merged(grants: Iterable[Rule]) -> list[Rule]:
    """One rule per topic filter, in the registry's order; groups of shared work fall away."""
    verbs: dict[str, set[str]] = {}
    for verb, topic_filter in grants:
        verbs.setdefault(strip_share(topic_filter), set()).add(verb)
    return [
        ("readwrite" if len(found) == 2 else next(iter(found)), topic_filter)
        for topic_filter, found in verbs.items()
    ]


def _own_level(topic: TopicBase, verb: str, service: str, instance: str) -> dict[str, str]:
    """Whether the level ``instance`` must be the instance itself.

    A reader reads what is addressed to it, but a service that watches the others' health reads
    all. A writer writes under its own name only where everybody (``*``) may write; elsewhere
    the level names somebody else, who is written to.
    """
    roles = topic.writers if verb == "write" else topic.readers
    if OWN in roles and service not in roles:
        own_levels = {"service": service, "instance": instance}
        return {level: own_levels[level] for level in topic.params if level in own_levels}
    if "instance" not in topic.params:
        return {}
    if verb == "write":
        own = ANY in topic.writers
    else:
        everybody = {ANY, OWN} & set(topic.writers)
        own = service not in topic.readers if everybody else True
    return {"instance": instance} if own else {}
