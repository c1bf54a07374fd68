"""``python -m satellite``: the process."""

from parlour_config.process import signed_feed
from parlour_kit.process import main

from satellite.settings import SatelliteSettings

if __name__ == "__main__":
    main("satellite.service:Satellite", SatelliteSettings, signed_feed)
