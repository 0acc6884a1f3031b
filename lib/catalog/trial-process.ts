/**
 * The process that migrates a copy and tries the first writes on it; see trial.ts. A restore and a server would do
 * these writes next. All of them are rolled back.
 */
import type { Logger } from 'pino';
import { toWireError } from '../errors.ts';
import { AuditRecorder } from '../maintenance/audits.ts';
import { recordMaintenance } from '../maintenance/history.ts';
import { answerOrder } from '../runtime/process-answer.ts';
import { silentLogger } from '../runtime/silent-logger.ts';
import { catchUpIndex } from '../search/search-index.ts';
import type { Engine, Executor } from '../sql/engine.ts';
import { now } from '../values/dates.ts';
import { newId } from '../values/ids.ts';
import { CatalogExecutor } from './executor.ts';
import { type CatalogModules, modulesOf } from './modules.ts';
import { migrateHere, openCopy } from './open.ts';
import type { CatalogSettings } from './settings.ts';
import type { TrialAnswer, TrialNote, TrialOrder } from './trial.ts';

/** Rolls a transaction back. */
class Undo extends Error {}

/** Sends log lines to the process that has the logger. */
function noting(note: (note: TrialNote) => void): Logger {
  const at = (level: 'info' | 'warn' | 'error') => (facts: object, message: string) => note({ level, facts, message });
  const logger = { ...silentLogger, info: at('info'), warn: at('warn'), error: at('error'), child: () => logger };
  return logger as unknown as Logger;
}

function modulesIn(tx: Executor, engine: Engine, settings: CatalogSettings): CatalogModules {
  const { storageDir, defaultQuotaBytes, readOnly, logger } = settings;
  return modulesOf(new CatalogExecutor(tx), {
    file: engine.file,
    storageDir,
    defaultQuotaBytes,
    dialect: engine.dialect,
    inTransaction: true,
    stats: () => engine.stats(),
    callLog: () => engine.callLog(),
    onSaved: () => undefined,
    audits: new AuditRecorder({ readOnly, logger }),
  });
}

const TRIED = 'a trial, undone';

/** The first writes of a new client. */
async function tryNew({ clients, files, versions }: CatalogModules): Promise<void> {
  const { id: clientId } = await clients.save({ name: `trial ${newId()}` });
  const file = { clientId, fileName: 'trial.txt', pathName: TRIED, fileSize: 0 };
  await files.save(file);
  const { file: stored } = await files.save({ ...file, pathName: `${TRIED} 2`, crc: 1 });
  await files.verify(stored.id, { crc: 1 });
  await versions.activate(stored.id, 1);
  await files.recordFailure({ clientId, fileName: 'trial.txt', reason: TRIED });
  await files.delete(stored.id);
  await clients.delete(clientId);
}

/** A further version of an existing file. */
async function tryOld({ clients, files }: CatalogModules): Promise<void> {
  const [client] = (await clients.list({ limit: 1 })).clients;
  if (client === undefined) return;
  await clients.touch(client.id);
  const [file] = (await files.forClient(client.id, { limit: 1 })).files;
  if (file === undefined) return;
  const { fileName, originalPath } = file;
  await files.save({ clientId: client.id, fileName, originalPath, pathName: TRIED, fileSize: 0 });
}

async function tryWrites(engine: Engine, settings: CatalogSettings): Promise<void> {
  const undone = async (use: (tx: Executor) => Promise<unknown>) => {
    const work = async (tx: Executor): Promise<never> => {
      await use(tx);
      throw new Undo();
    };
    await engine.transaction('write', work, { deadlineMs: Number.POSITIVE_INFINITY }).catch((error: unknown) => {
      if (!(error instanceof Undo)) throw error;
    });
  };
  const record = { kind: 'restore', startedAt: now(), durationMs: 0, ok: true, detail: TRIED } as const;
  await undone((tx) => tx.run(recordMaintenance, record));
  // A trigger may refuse an unknown client; it only matters that the call ends.
  for (const attempt of [tryNew, tryOld]) {
    const tried = undone((tx) => attempt(modulesIn(tx, engine, settings)));
    await tried.catch(() => undefined);
  }
  await undone((tx) => tx.run(catchUpIndex, null)).catch(() => undefined);
}

async function carryOut({ path, settings: given }: TrialOrder, note: (note: TrialNote) => void): Promise<void> {
  const settings = { ...given, logger: noting(note), onMigrationProgress: undefined };
  await migrateHere(settings, path);
  note({ migrated: true });
  const engine = await openCopy(settings, path);
  try {
    await tryWrites(engine, settings);
  } finally {
    await engine.close();
  }
}

answerOrder(async (order, note): Promise<TrialAnswer> => {
  try {
    await carryOut(order as TrialOrder, note);
    return null;
  } catch (error) {
    return toWireError(error);
  }
});
