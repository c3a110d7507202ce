"""What tests share: a provider that plays what a test wrote, and a gateway in front of it."""
