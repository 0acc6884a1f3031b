/** Finds clients by name. */
import { type Client, type DatabaseManager, NotFoundError } from '../../lib/index.ts';
import { printable } from '../format.ts';
import { formsOf, likeness } from '../names.ts';

/**
 * The client with this name, else the one with a canonically equal name.
 * @throws {NotFoundError} if there is none
 */
export async function requireClient(db: DatabaseManager, name: string): Promise<Client> {
  for (const form of formsOf(name)) {
    const found = await db.clients.getByName(form);
    if (found !== null) return found;
  }
  throw new NotFoundError(`client ${printable(name)}`, { hint: '`backup-catalog clients` lists them.' });
}

const MOST_NAMED = 3; // clients named in a warning

/** The first other clients whose names differ from a client's only in case, blanks or Unicode form. */
export async function lookalikes(db: DatabaseManager, { id, name }: Pick<Client, 'id' | 'name'>): Promise<string[]> {
  const wanted = likeness(name);
  const found: string[] = [];
  for await (const client of db.clients.listAll()) {
    if (client.id !== id && likeness(client.name) === wanted) found.push(client.name);
    if (found.length === MOST_NAMED) break;
  }
  return found;
}
