"""The command line: `densify …`. One module per command; nothing below this room knows of it."""
