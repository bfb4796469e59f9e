"""The scratch of one key online: rows of `work: int64[WORK, rows of the key + 1 or more]`, one word a row."""

TIMES, PICKED, EVERY, CODE, EQUAL, HASHES, HIGH, LOW, ORDER, SPARE, TABLE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""Event times; the rows chosen; 0, 1, 2, …; codes and hashes (`gnomon.kernels.lanes`); what folds need."""

SEEN, CHOSEN, BY_CODE, BY_ORDER, BY_ENDS, OF_ONE = 14, 15, 16, 17, 18, 19
"""What is visible of the key; a window's positions; what goes by category. TABLE has 4 rows: the hash table of
n_distinct needs up to 4 words a row."""

WORK = 20
