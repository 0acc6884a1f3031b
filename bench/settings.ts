/** The settings of a connection that every contestant has: those of lib/pool/connection.ts, durability included. */
export const PRAGMAS = [
  'journal_mode = WAL',
  'synchronous = FULL',
  'foreign_keys = ON',
  'recursive_triggers = ON',
  'cache_size = 10000',
  'temp_store = MEMORY',
  'journal_size_limit = 67108864',
  'trusted_schema = OFF',
  'cell_size_check = ON',
  'secure_delete = ON',
  'wal_autocheckpoint = 4000',
] as const;
