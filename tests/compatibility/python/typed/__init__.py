"""The checks of the typed client, versions 4 and 5; run as `python -m typed`."""
