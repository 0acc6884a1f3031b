/** `quota`: shows how much each client may store, its use, and reservations for running uploads. */
import { Option } from 'commander';
import type { DatabaseManager, Quota, QuotaAudit } from '../../lib/index.ts';
import type { Access, CommandSpec } from '../command.ts';
import { UsageError } from '../errors.ts';
import { formatBytes, formatNumberOf, formatPart } from '../format.ts';
import { printJson, printLine, tell } from '../output.ts';
import { type Column, table } from '../table.ts';
import { requireClient } from './client-by-name.ts';
import { LIMIT_HELP, type Limit, limitBytes, NO_LIMIT, parseLimit } from './limit.ts';
import { addPageOptions, PAGE_WORDS, type PageSettings, pageOf, tellNext } from './pages.ts';

interface QuotaSettings extends PageSettings {
  readonly set?: Limit;
  readonly audit?: boolean;
  readonly repair?: boolean;
}

const BAR_WIDTH = 24; // columns

const partOf = (bytes: number, limit: number) => (limit === 0 ? Number(bytes > 0) : bytes / limit);

/** `█` is used, `▒` reserved, `░` free; small amounts still show one cell. */
function bar({ quotaBytes, usedBytes, reservedBytes }: Quota): string {
  if (quotaBytes === null) return '';
  const cells = (bytes: number) => Math.min(BAR_WIDTH, Math.ceil(partOf(bytes, quotaBytes) * BAR_WIDTH));
  const used = cells(usedBytes);
  const reserved = Math.min(cells(reservedBytes), BAR_WIDTH - used);
  return '█'.repeat(used) + '▒'.repeat(reserved) + '░'.repeat(BAR_WIDTH - used - reserved);
}

function stateOf({ quotaBytes, usedBytes, warningThreshold }: Quota): string {
  if (quotaBytes === null) return '';
  if (usedBytes >= quotaBytes) return 'full';
  return usedBytes >= quotaBytes * warningThreshold ? 'warning' : '';
}

interface Named {
  readonly name: string;
  readonly quota: Quota;
}

const right = (title: string): Column => ({ title, align: 'right' });
const FIGURES = [right('USED'), right('RESERVED'), right('LIMIT')];

function forTerminal(rows: readonly Named[]): string {
  const cells = rows.map(({ name, quota }) => {
    const { quotaBytes, usedBytes, reservedBytes } = quota;
    const limit = quotaBytes === null ? NO_LIMIT : formatBytes(quotaBytes);
    const part = quotaBytes === null ? '' : formatPart(partOf(usedBytes, quotaBytes));
    return [name, bar(quota), part, formatBytes(usedBytes), formatBytes(reservedBytes), limit, stateOf(quota)];
  });
  return table([{ title: 'CLIENT' }, { title: '' }, right(''), ...FIGURES, { title: '' }], cells);
}

function forPipe(rows: readonly Named[]): string {
  const cells = rows.map(({ name, quota: { quotaBytes, usedBytes, reservedBytes } }) => [
    name,
    String(usedBytes),
    String(reservedBytes),
    String(quotaBytes ?? NO_LIMIT),
  ]);
  return table([{ title: 'CLIENT' }, ...FIGURES], cells);
}

const show = (rows: readonly Named[]) => printLine((process.stdout.isTTY ? forTerminal : forPipe)(rows));

async function showOne(db: DatabaseManager, name: string, { set }: QuotaSettings, json: boolean): Promise<void> {
  const client = await requireClient(db, name);
  const quota =
    set === undefined
      ? await db.quotas.get(client.id)
      : await db.quotas.set(client.id, { quotaBytes: limitBytes(set) });
  if (json) printJson(quota);
  else if (quota !== null) show([{ name: client.name, quota }]);
}

/** The name of a client, or its id if the client is gone. */
const nameOf = async (db: DatabaseManager, id: string): Promise<string> => (await db.clients.get(id))?.name ?? id;

async function showAll(db: DatabaseManager, settings: QuotaSettings, json: boolean): Promise<void> {
  const page = await db.quotas.list(pageOf(settings));
  if (json) {
    printJson(page);
    return;
  }
  const rows = await Promise.all(page.quotas.map(async (quota) => ({ name: await nameOf(db, quota.clientId), quota })));
  if (rows.length > 0) show(rows);
  else tell('there are no clients');
  tellNext(page.nextCursor);
}

async function showAudit(db: DatabaseManager, audit: QuotaAudit): Promise<void> {
  const { checked, repaired, driftBytes, clients } = audit;
  const drifting: string[][] = [];
  for (const { clientId, recordedBytes, actualBytes, driftBytes: drift } of clients) {
    drifting.push([await nameOf(db, clientId), ...[recordedBytes, actualBytes, drift].map(String)]);
  }
  if (drifting.length > 0) {
    printLine(table([{ title: 'CLIENT' }, right('RECORDED'), right('ACTUAL'), right('DRIFT')], drifting));
  }
  tell(`${formatNumberOf(checked, 'client')} counted, ${formatBytes(driftBytes)} of drift, ${repaired} repaired`);
  if (repaired < clients.length) tell('`backup-catalog quota --audit --repair` repairs the drift');
}

function accessOf({ set, audit, repair }: QuotaSettings): Access {
  if (set !== undefined || repair) return 'write';
  return audit ? 'record' : 'read';
}

export const quota: CommandSpec<QuotaSettings> = {
  name: 'quota',
  summary: 'Show the limits of clients and their use, or set a limit; plain bytes in a pipe',
  flags: { name: '[client]' },
  example: 'quota laptop --set 10GiB',
  words: PAGE_WORDS,
  configure: (command) =>
    addPageOptions(
      command
        .argument('[client]', 'the name of a client (default: all clients)')
        .addOption(new Option('--set <bytes>', `the client's new limit: ${LIMIT_HELP}`).argParser(parseLimit))
        .option('--audit', 'recount the use of every client from its versions')
        .option('--repair', 'with --audit: repair the drift'),
    ),
  async run({ args: [name], options, json, withCatalog }) {
    const { set, audit = false, repair = false } = options;
    if (set !== undefined && name === undefined) throw new UsageError('--set needs the name of a client');
    if (repair && !audit) throw new UsageError('--repair needs --audit');
    if (audit && name !== undefined) throw new UsageError('--audit counts every client; omit the name');
    return withCatalog(async (db) => {
      if (audit) {
        const found = await db.quotas.audit({ repair });
        if (json) printJson(found);
        else await showAudit(db, found);
      } else if (name === undefined) await showAll(db, options, json);
      else await showOne(db, name, options, json);
      return 0;
    }, accessOf(options));
  },
};
