"""Django's back end: django-tenants' one, and with each schema the role that may be at work there."""
