"""What usage costs: prices, usage as providers report it, and the arithmetic between. No database, no clock."""
