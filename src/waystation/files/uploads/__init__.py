"""The ways in which files arrive over HTTP: in one call, or by tus 1.0."""
