"""The demo: two tenants with plans, budgets, keys, a sign-in and a day of traffic. For a local run only."""
