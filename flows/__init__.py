"""The order of the tasks, and the temporary server they run with."""
