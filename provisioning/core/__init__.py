"""Pure parts of provisioning: tables in and out, and the arithmetic of what a campaign costs."""
