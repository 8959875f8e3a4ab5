"""What is known of Microsoft's side: clouds, ids, limits, tokens, and the one catalogue of errors.

Nothing here knows of the rest of Postroom, or of Django.
"""
