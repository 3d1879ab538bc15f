"""The one error that reaches the user as a sentence instead of a traceback."""


class UserError(Exception):
    """Something the user can mend. The command line prints the message and exits with code 2."""
