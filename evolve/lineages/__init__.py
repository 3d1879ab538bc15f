"""Operations on a lineage: do its steps hold, which of them matter, and do they hold elsewhere."""
