# What we use of django-tenants, which ships no types.
