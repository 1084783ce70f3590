"""How amounts, times and shares look on pages: one way for all of them."""
