"""Running Postroom: the console, the lab, the demonstration that starts both."""
