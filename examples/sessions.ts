/**
 * A module with a server's own procedures: a `sessions` table beside the catalogue's tables, created, read and changed
 * in the same commits as everything else. Pass its URL in the option `procedureModules`; every connection's thread then
 * imports it, so keep it free of other work. In your own project import from 'backup-catalog/procedure'.
 */
import { all, idBytes, NotFoundError, one, procedure, run, type Steps, sql } from '../lib/procedure-kit.ts';

/** A client that is logged in. */
export interface Session {
  readonly clientId: string;
  /** Format: `YYYY-MM-DDTHH:MM:SS.sssZ`. */
  readonly expiresAt: string;
}

/** The input to open a session. */
export interface NewSession {
  readonly clientId: string;
  /** SHA-256 of the token; the token itself is never stored. */
  readonly tokenHash: Uint8Array;
  readonly expiresAt: string;
}

/** Creates the table; run it after each open. ON DELETE CASCADE ends the sessions of a deleted client. */
export const createSessions = procedure('sessions.create', 'write', function* (_: null): Steps<void> {
  yield* run(sql`CREATE TABLE IF NOT EXISTS sessions (
    TokenHash BLOB(32) PRIMARY KEY,
    ClientID BLOB(16) NOT NULL REFERENCES clients(ID) ON DELETE CASCADE,
    ExpiresAt TEXT NOT NULL
  )`);
  yield* run(sql`CREATE INDEX IF NOT EXISTS idx_sessions_client ON sessions(ClientID)`);
});

/** Opens a session and marks its client as seen, in one transaction. */
export const openSession = procedure(
  'sessions.open',
  'write',
  function* ({ clientId, tokenHash, expiresAt }: NewSession): Steps<Session> {
    const seen = new Date().toISOString();
    const { changes } = yield* run(sql`UPDATE clients SET LastSeen = ${seen} WHERE ID = ${idBytes(clientId)}`);
    if (changes === 0) throw new NotFoundError(`client ${clientId}`);
    yield* run(sql`INSERT INTO sessions (TokenHash, ClientID, ExpiresAt)
      VALUES (${tokenHash}, ${idBytes(clientId)}, ${expiresAt})`);
    return { clientId, expiresAt };
  },
);

/** The session of a token; null if it does not exist or has expired. */
export const findSession = procedure(
  'sessions.find',
  'read',
  function* (tokenHash: Uint8Array, dialect): Steps<Session | null> {
    const found = yield* one<Session>(sql`SELECT ${dialect.hex('ClientID')} AS "clientId", ExpiresAt AS "expiresAt"
      FROM sessions WHERE TokenHash = ${tokenHash} AND ExpiresAt > ${new Date().toISOString()}`);
    return found ?? null;
  },
);

/** Ends every expired session, and returns how many each client had. */
export const endExpired = procedure('sessions.endExpired', 'write', function* (now: string, dialect): Steps<
  { name: string; sessions: number }[]
> {
  const ended = yield* all<{ name: string; sessions: number }>(sql`SELECT c.Name AS "name", count(*) AS "sessions"
      FROM sessions s JOIN clients c ON c.ID = s.ClientID WHERE s.ExpiresAt <= ${now}
      GROUP BY ${dialect.hex('c.ID')}, c.Name ORDER BY c.Name`);
  yield* run(sql`DELETE FROM sessions WHERE ExpiresAt <= ${now}`);
  return ended;
});
