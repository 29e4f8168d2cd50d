"""What is done to stored readings behind everybody's back: counted, thinned, deleted; each a little at a time."""
