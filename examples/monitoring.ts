/**
 * The endpoints that a monitoring system needs, with Fastify: /healthz (the process answers), /readyz (the catalogue
 * can be used) and /metrics (for Prometheus). It listens on the loopback address only. Run it with
 * `node examples/monitoring.ts [DATABASE]`; PORT chooses the port, 0 any free one. In your own project import from
 * 'backup-catalog'.
 */
import Fastify from 'fastify';
import { DatabaseManager, toHealthJson } from '../lib/index.ts';

const HEALTH_JSON = 'application/health+json';
const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';

/** The routes; the caller owns the catalogue and closes it. */
function monitoringOf(db: DatabaseManager) {
  const app = Fastify();

  // Liveness: does not ask the catalogue. A slow process or a bad disk is no reason to kill the process.
  app.get('/healthz', async (_, reply) => reply.type(HEALTH_JSON).send({ status: 'pass' }));

  // Readiness: warnings are for people; only a catalogue that cannot be used takes the server out of service.
  app.get('/readyz', async (_, reply) => {
    const report = await db.health();
    return reply
      .code(report.status === 'fail' ? 503 : 200)
      .type(HEALTH_JSON)
      .send(toHealthJson(report));
  });

  // Always 200: if the catalogue is down, catalog_up is 0.
  app.get('/metrics', async (_, reply) => reply.type(PROMETHEUS_TEXT).send(await db.metrics()));

  return app;
}

const db = await DatabaseManager.open({ database: process.argv[2] ?? 'catalog.db' });
const app = monitoringOf(db);
console.log(`listening on ${await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT'] ?? 9464) })}`);

// First refuse new requests, then finish the running ones, then close the catalogue.
const stop = async () => {
  await app.close();
  await db.close();
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
