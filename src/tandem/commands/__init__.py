"""The sub-commands: each a module with ``main(arguments) -> exit status``."""
