/** Clients as people name them. */
import { type Client, type DatabaseManager, NotFoundError } from '../../lib/index.ts';
import { printable } from '../format.ts';

/**
 * The client of a name.
 * @throws {NotFoundError} when there is none
 */
export async function requireClient(db: DatabaseManager, name: string): Promise<Client> {
  const found = await db.clients.getByName(name);
  if (found === null) throw new NotFoundError(`client ${printable(name)}`, { hint: 'See `clients`.' });
  return found;
}
