"""`python -m deploy.cli` is `sluice`. Sluice starts its own processes this way, without a script on PATH."""

from deploy.cli import main

if __name__ == "__main__":
    main()
