"""``python -m router``: the process."""

from parlour_config.process import main

if __name__ == "__main__":
    main("router.service:Router")
