"""What holds for a tenant, worked out of what people decided. Pure."""
