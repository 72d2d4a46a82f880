"""Tools that make a release: the version number, and the wheel of the client library."""
