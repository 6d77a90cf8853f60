"""The number systems that the algorithm runs on."""
