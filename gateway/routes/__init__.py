"""The routes, one module per family: each exports `ROUTES`, its rows of the route table."""
