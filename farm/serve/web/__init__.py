"""The pages for people: HTML made on the server, from the records that the API gives as JSON."""
