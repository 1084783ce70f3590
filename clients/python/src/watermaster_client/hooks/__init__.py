"""Scripts that other programs call before they act."""
