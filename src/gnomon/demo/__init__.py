"""The demo: features of real flights, defined once, used for training and online."""
