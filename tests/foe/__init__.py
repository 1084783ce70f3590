"""One tenant against another. A package, so that its scene is set once and gone before other tests begin."""
