"""The command line: options in, one operation, text out. One file a command group."""
