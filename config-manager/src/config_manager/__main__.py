"""``python -m config_manager``."""

from parlour_kit.service import main

from config_manager.service import ConfigManager

if __name__ == "__main__":
    main(ConfigManager)
