"""The client inside agent frameworks; each module needs its framework, an extra of the package."""
