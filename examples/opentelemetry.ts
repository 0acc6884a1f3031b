/**
 * Turns each call of a catalogue into an OpenTelemetry span, by the semantic conventions for database clients
 * (https://opentelemetry.io/docs/specs/semconv/database/database-spans/). `traceCatalogs` is all that a server needs
 * once its own SDK is set up; the rest of this file records spans in memory and prints them. Run it with
 * `node examples/opentelemetry.ts`. In your own project import from 'backup-catalog'.
 */
import { tracingChannel } from 'node:diagnostics_channel';
import { basename } from 'node:path';
import { type Span, SpanKind, SpanStatusCode, type Tracer, type TracerProvider, trace } from '@opentelemetry/api';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { DatabaseError, DatabaseManager, type ProcedureTrace, TRACING_CHANNEL } from '../lib/index.ts';

function startSpan(tracer: Tracer, { procedure, intent, database, transaction }: ProcedureTrace): Span {
  const namespace = basename(database);
  return tracer.startSpan(`${procedure} ${namespace}`, {
    kind: SpanKind.CLIENT,
    attributes: {
      'db.system.name': 'sqlite',
      'db.namespace': namespace,
      'db.operation.name': procedure,
      'backup_catalog.intent': intent,
      'backup_catalog.transaction': transaction,
    },
  });
}

function endSpan(span: Span, { error }: ProcedureTrace): void {
  if (error !== undefined) {
    span.setAttribute('error.type', error);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}

/** Makes a span of each call of every catalogue of this process; returns a function that stops it. */
function traceCatalogs(provider: TracerProvider = trace.getTracerProvider()): () => void {
  const tracer = provider.getTracer('backup-catalog');
  const spans = new WeakMap<ProcedureTrace, Span>();
  const start = (call: unknown) => {
    const told = call as ProcedureTrace;
    spans.set(told, startSpan(tracer, told));
  };
  // A call that began before the subscription has no span.
  const asyncEnd = (call: unknown) => {
    const told = call as ProcedureTrace;
    const span = spans.get(told);
    if (span !== undefined) endSpan(span, told);
  };
  const { start: starts, asyncEnd: ends } = tracingChannel(TRACING_CHANNEL);
  starts.subscribe(start);
  ends.subscribe(asyncEnd);
  return () => {
    starts.unsubscribe(start);
    ends.unsubscribe(asyncEnd);
  };
}

async function main(): Promise<void> {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  await using db = await DatabaseManager.open({ database: 'catalog.db' });
  const stop = traceCatalogs(provider);

  const client = (await db.clients.getByName('laptop')) ?? (await db.clients.save({ name: 'laptop' }));
  const file = { clientId: client.id, fileName: 'report.pdf', pathName: '/srv/contents/1', fileSize: 48_213 };
  await db.transaction(async (tx) => {
    await tx.files.save(file);
  });
  await db.files.save({ ...file, fileSize: 2 ** 40 }).catch((error: unknown) => {
    if (!(error instanceof DatabaseError)) throw error;
  });
  stop();
  await db.files.count(); // nobody listens any more

  for (const { name, kind, attributes, status } of exporter.getFinishedSpans()) {
    const failed = status.code === SpanStatusCode.ERROR ? `, ${attributes['error.type']}` : '';
    const inside = attributes['backup_catalog.transaction'] ? ', in a transaction' : '';
    console.log(
      `${SpanKind[kind]} ${name}: ${attributes['db.system.name']}, ${attributes['backup_catalog.intent']}${inside}${failed}`,
    );
  }
  await provider.shutdown();
}

await main();
