"""Run the command as ``python -m kubedx``."""

from kubedx.cli import main

if __name__ == "__main__":
    main()
