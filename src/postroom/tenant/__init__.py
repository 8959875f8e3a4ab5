"""The Azure side: wanted state, observe, plan, apply, verify, export, rotate, remove. See docs/tenant.md."""
