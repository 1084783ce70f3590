"""How the tenant flows through each surface, found by looking at the running system and not at a list of claims."""
