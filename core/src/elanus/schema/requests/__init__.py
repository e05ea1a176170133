"""What searches are asked with: requests, their parameters, and rankers."""
