"""What a service starts with: environment over last known good over defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from parlour_contracts.config import ServiceConfigModel
from parlour_kit.errors import ParlourError, StartupError

from parlour_config.client.activation import Source
from parlour_config.client.guard import Guard
from parlour_config.client.reading import SettingsReader
from parlour_config.client.trusting import Trusting
from parlour_config.errors import RefusedLkgError, RefusedUpdateError
from parlour_config.trust import TrustState
from parlour_config.update import Update

C = TypeVar("C", bound=ServiceConfigModel)


@dataclass(frozen=True)
class Boot(Generic[C]):
    """The start of a process.

    Attributes:
        settings: to begin with.
        update: the stored message; None without one.
        works: whether ``settings`` are those of ``update``.
        refusal: why a configuration is not used.
        trouble: what people should know until the next file is written.
    """

    settings: C
    update: Update | None
    state: TrustState
    source: Source
    works: bool = True
    refusal: ParlourError | None = None
    trouble: ParlourError | None = None

    @classmethod
    async def of(cls, guard: Guard, trusting: Trusting, reader: SettingsReader[C]) -> Boot[C]:
        """Read the files.

        Raises:
            StartupError: the environment holds settings that cannot be.
        """
        found = await guard.load(trusting.keys.public_keys)
        trusting.begin(found.keyset)
        log = structlog.get_logger("parlour.config")
        for problem in found.problems:
            log.error("a stored file cannot be used", code=problem.code, reason=str(problem))
        if found.forgiven:
            log.warning("marks of poison cleared, as the operator asked", checksums=found.forgiven)
        trouble = RefusedLkgError(str(found.problems[0])) if found.problems else None
        refusal: ParlourError | None = trouble
        if found.decision.kind == "poisoned":
            refusal = RefusedUpdateError(
                "CRASH_AFTER_APPLY", "this configuration stopped the service twice"
            )
            log.error("starting without the newest configuration", code=refusal.code)
        update = found.lkg.update if found.lkg else None
        settings: C | None = None
        if update is not None:
            try:
                settings = reader.read(update.config, trusting.keys.service_keys)
            except RefusedUpdateError as error:
                refusal = error
                log.error(  # noqa: TRY400  # the message says all
                    "the stored settings do not fit", code=error.code, reason=str(error)
                )
            if found.decision.checksum == update.checksum:
                await guard.trying(update)  # the attempt that is made now counts
                guard.applied(update)
        if settings is not None:
            return cls(settings, update, found.state, "lkg", refusal=refusal, trouble=trouble)
        source: Source = "env" if reader.from_environment else "default"
        return cls(_defaults(reader), update, found.state, source, update is None, refusal, trouble)


def _defaults(reader: SettingsReader[C]) -> C:
    try:
        return reader.defaults()
    except RefusedUpdateError as error:
        raise StartupError(
            f"cannot start, the environment holds wrong settings: {error}",
            hint="correct the variables that begin with CONFIG_ENV_",
        ) from None
