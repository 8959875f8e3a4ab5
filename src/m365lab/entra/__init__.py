"""Entra ID on the wire: discovery, keys, the token endpoint, device sign-in, and its errors."""
