"""A Microsoft 365 tenant that one can start: the stand-in that Postroom is learnt and tested with."""
