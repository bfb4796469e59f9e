"""How a question is answered, as data: layouts, requests, cuts of time."""
