"""HTTP without business rules: bodies, ranges, CORS, links, the response envelope, connections."""
