"""One module for each command of the command line, as thin functions over the library."""
