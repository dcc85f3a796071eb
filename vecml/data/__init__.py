"""From a file, a built-in set or a generator to encoded features by column: `Table`, then `Split`."""
