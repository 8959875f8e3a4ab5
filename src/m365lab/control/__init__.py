"""The control API under `/lab/api`: everything that a test or a person sets in the tenant, over plain JSON."""
