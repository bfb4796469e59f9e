"""The client: the questions of a store, asked of a server. `gn.Client`, `gn.AsyncClient`, `gn.Store.open(url)`."""
