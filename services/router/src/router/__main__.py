"""``python -m router``."""

from parlour_kit.service import main

from router.service import Router

if __name__ == "__main__":
    main(Router)
