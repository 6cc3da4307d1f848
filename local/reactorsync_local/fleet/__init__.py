"""The one-screen summary of a running installation: what is gathered, and how it looks."""
