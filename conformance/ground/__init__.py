"""What every other room uses: where things are, statuses, what a person types and sees."""
