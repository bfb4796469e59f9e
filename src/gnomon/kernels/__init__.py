"""The mathematics: pure functions, arrays in, arrays out. Nothing here knows of files, stores or frames."""
