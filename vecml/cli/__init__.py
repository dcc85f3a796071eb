"""The `vecml` command, one file a subcommand. The only part of vecml that knows flows and tasks."""

from vecml.own_packages import found_first

found_first()
