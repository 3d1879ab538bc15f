"""What arguments of several commands mean, in the words of their --help."""

RUN = "a run's folder, its name below runs/, or a clone of an archive"
REF = "an individual's id, a branch (champion, elite/0) or a commit"
ARENA = "the arena's folder, where it was moved since the search"
