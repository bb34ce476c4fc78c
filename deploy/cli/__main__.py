"""`python -m deploy.cli` is `sluice`: how one process of ours starts another without looking for a script on PATH."""

from deploy.cli import main

if __name__ == "__main__":
    main()
