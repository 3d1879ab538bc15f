"""The search as an ordinary bare git repository: a commit an individual, a note line an evaluation."""
