"""One tenant against another. A package, so that its fixtures are its own."""
