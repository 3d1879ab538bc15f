"""The two errors with a meaning of their own: a user's mistake, and a genome's broken contract."""


class UserError(Exception):
    """Something the user can mend; shown as a sentence, with exit code 2 and no traceback."""


class ContractError(Exception):
    """The genome broke its contract; the message is one sentence that says how."""
