"""Keeps a genome from all but its scratch folder: bubblewrap's namespaces, or Landlock, with a seccomp filter."""
