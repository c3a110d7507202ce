"""What is kept between requests, and where: small protocols, and the two backends that need no server."""
