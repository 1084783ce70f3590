"""A release that adds one column to every tenant's schema, to measure what that takes. It exists in the bench's own
database only.
"""
