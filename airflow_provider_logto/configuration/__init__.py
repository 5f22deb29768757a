"""A tenant's roles, resources, applications, connectors, webhooks and sign-in as a desired state."""
