"""How a genome is measured: one trial is one time-boxed process, watched and ended from outside."""
