"""config-manager: owns the database of the fleet's configuration and tells how it is."""

from __future__ import annotations

from typing import ClassVar

from parlour_contracts.config import ServiceConfigModel
from parlour_kit.health import Compose
from parlour_kit.service import Context, Service

from config_manager.health import config_health
from config_manager.store import Store

LOOK_INTERVAL_S = 5.0


class ConfigManager(Service[ServiceConfigModel]):
    """Takes the database before it connects, then looks at it for as long as it runs.

    It publishes only its health. A damaged or foreign database does not end it: it stays in
    read-only fallback and says why.
    """

    name: ClassVar[str] = "config-manager"
    config_model: ClassVar[type[ServiceConfigModel]] = ServiceConfigModel
    health_interval_s: ClassVar[float] = 10.0

    def __init__(
        self, ctx: Context, config: ServiceConfigModel, store: Store | None = None
    ) -> None:
        super().__init__(ctx, config)
        self._store = store or Store(ctx.data_dir / "config-manager" / "config.db")

    async def prepare(self) -> None:
        """Take the lock and open the database.

        Raises:
            StartupError: another process has it, or its folder cannot be used.
        """
        await self._store.open()

    async def load(self) -> None:
        """Say what is wrong with the database, if something is.

        Raises:
            StoreError: it is locked, damaged, or of another form.
        """
        if self._store.condition.error is not None:
            raise self._store.condition.error

    async def serve(self) -> None:
        """Look at the database from now on."""
        self.messenger.spawn(self._watch(), "look at the database")

    async def close(self) -> None:
        """Let go of the database."""
        await self._store.close()

    def compose_health(self) -> Compose:
        """S2's health model in place of the fleet's."""
        return config_health(self._store)

    def components(self) -> dict[str, bool]:
        """Whether the database can be read, and whether changes can be made."""
        condition = self._store.condition
        return {
            "database": condition.status == "healthy",
            "changes": condition.mode == "normal",
        }

    async def _watch(self) -> None:
        while True:
            await self.clock.sleep(LOOK_INTERVAL_S)
            before = self._store.condition.news
            condition = await self._store.look()
            if condition.news == before or self.health is None:
                continue
            if condition.error is None:
                self.log.info("the database can be used again")
            else:
                self.log.error(
                    "the database cannot be used",
                    code=condition.error.code,
                    mode=condition.mode,
                    reason=str(condition.error),
                    hint=condition.error.hint,
                )
            self.health.state.error = condition.error
            self.health.state.ready = condition.ok
            self.health.state.components = self.components()
            self.health.touch()
