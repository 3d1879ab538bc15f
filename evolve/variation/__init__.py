"""How offspring are made from parents: catalogue mutation, and crossover by a statement-keyed merge."""
