"""What an owner does with a hub as a whole: start it, look into it, save it, try it."""
