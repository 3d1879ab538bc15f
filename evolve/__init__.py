"""Evolves training scripts: genomes in a population, selection on measured fitness, lineages in git."""
