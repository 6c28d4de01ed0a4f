"""The data command line of a checkout; an installed project has it as `parallelbench-data`."""

from hub_dataset.commands.main import main

if __name__ == "__main__":
    main()
