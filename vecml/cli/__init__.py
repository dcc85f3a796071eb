"""The `vecml` command, one file a subcommand. The only part of vecml that knows flows and tasks."""
