"""From facts and outcomes to what people read: the status block, conditions and Events."""
