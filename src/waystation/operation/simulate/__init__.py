"""`waystation simulate`: a fleet of believable devices that use a hub's front doors."""
