// The add-on for graphemes reads its table from where a buffer begins, which for a small one of Node's is not
// its own. Import this before it.
Buffer.poolSize = 0;
