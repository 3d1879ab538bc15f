"""Language models as operators: prompts out, edits in, and what they cost."""
