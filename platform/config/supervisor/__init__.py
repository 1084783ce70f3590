"""Everything that runs, under one roof: ``make up`` and ``make down``."""
