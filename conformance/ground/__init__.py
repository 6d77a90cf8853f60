"""What every room stands on: where things are, how a port can do, what a person types and sees."""
