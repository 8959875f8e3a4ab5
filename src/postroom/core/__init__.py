"""What every room stands on: settings, encryption at rest, the clock. Knows no room."""
