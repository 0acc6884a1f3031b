/**
 * What a monitoring system asks a server for, with Fastify: /healthz (the process answers), /readyz (the catalogue can be
 * used) and /metrics (for Prometheus). It listens on the loopback address only. Run it with
 * `node examples/monitoring.ts [DATABASE]`; PORT chooses the port, 0 any free one. In your own project import from
 * 'backup-catalog'.
 */
import Fastify from 'fastify';
import { DatabaseManager, toHealthJson } from '../lib/index.ts';

const HEALTH_JSON = 'application/health+json';
const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';

/** The routes; the catalogue stays the caller's. */
function monitoringOf(db: DatabaseManager) {
  const app = Fastify();

  // Liveness: asks nothing of the catalogue. A process that is slow or has a sick disk must not be killed for it.
  app.get('/healthz', async (_, reply) => reply.type(HEALTH_JSON).send({ status: 'pass' }));

  // Readiness: warnings are for people; only a catalogue that cannot be used takes the server out of service.
  app.get('/readyz', async (_, reply) => {
    const report = await db.health();
    return reply
      .code(report.status === 'fail' ? 503 : 200)
      .type(HEALTH_JSON)
      .send(toHealthJson(report));
  });

  // Always 200: a catalogue that is down tells so by catalog_up 0.
  app.get('/metrics', async (_, reply) => reply.type(PROMETHEUS_TEXT).send(await db.metrics()));

  return app;
}

const db = await DatabaseManager.open({ database: process.argv[2] ?? 'catalog.db' });
const app = monitoringOf(db);
console.log(`listening on ${await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT'] ?? 9464) })}`);

// First no new requests, then those under way, then the catalogue.
const stop = async () => {
  await app.close();
  await db.close();
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
