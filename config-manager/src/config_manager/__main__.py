"""``python -m config_manager``: the process."""

from parlour_kit.process import main

from config_manager.settings import ManagerSettings

if __name__ == "__main__":
    main("config_manager.service:ConfigManager", ManagerSettings)
