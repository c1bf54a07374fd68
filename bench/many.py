"""config-manager with a great many services: ``MANY_SERVICES`` copies of the router."""

from __future__ import annotations

import os

from config_manager.service import ConfigManager
from config_manager.settings import ManagerSettings
from parlour_contracts.config import RouterConfig, ServiceConfigModel
from parlour_kit.process import main
from parlour_kit.service import Context

MODELS: dict[str, type[ServiceConfigModel]] = {
    f"service-{number:05d}": RouterConfig for number in range(int(os.environ["MANY_SERVICES"]))
}


class Many(ConfigManager):
    """The same process, with other names."""

    def __init__(self, ctx: Context, config: ServiceConfigModel) -> None:
        super().__init__(ctx, config, models=MODELS)


if __name__ == "__main__":
    main("bench.many:Many", ManagerSettings)
