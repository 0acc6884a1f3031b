/** SQL templates: the texts of `sql-template-tag`, made once; statements whose values come by name; rows as tuples. */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import theirSql, { join as theirJoin, raw as theirRaw } from 'sql-template-tag';
import t from 'tap';
import { sqliteDialect } from '../lib/pool/sqlite-dialect.ts';
import { expressions, insertInto, update } from '../lib/sql/named-values.ts';
import * as ours from '../lib/sql/template.ts';
import { placesOf, rowOf, selected } from '../lib/sql/tuple.ts';
import { holds } from './fixtures/property.ts';

const TEMPLATES = [['a ', ' b ', ' c'], ['', ''], ['x ', ''], ['', ' y ', ' z ', ''], ['only']] as const;

type Tree =
  | number
  | string
  | { readonly raw: string }
  | { readonly template: number; readonly gaps: readonly Tree[] }
  | { readonly list: readonly Tree[]; readonly separator: string };

const { tree } = fc.letrec<{ tree: Tree; value: Tree }>((tie) => ({
  value: fc.oneof(fc.integer(), fc.string()),
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.record({ raw: fc.constantFrom('p', 'q', '') }),
    fc.record({
      template: fc.nat(TEMPLATES.length - 1),
      gaps: fc.array(fc.oneof(tie('value'), tie('tree')), { minLength: 3, maxLength: 3 }),
    }),
    fc.record({
      list: fc.array(fc.oneof(tie('value'), tie('tree')), { minLength: 1, maxLength: 4 }),
      separator: fc.constantFrom(',', ' AND '),
    }),
  ),
}));

interface Tag<Sql> {
  readonly sql: (strings: readonly string[], ...values: unknown[]) => Sql;
  readonly raw: (text: string) => Sql;
  readonly join: (values: unknown[], separator: string) => Sql;
}

function build<Sql>(node: Tree, tag: Tag<Sql>): unknown {
  if (typeof node !== 'object') return node;
  if ('raw' in node) return tag.raw(node.raw);
  const inner = (nodes: readonly Tree[]) => nodes.map((one) => build(one, tag));
  if ('list' in node) return tag.join(inner(node.list), node.separator);
  const strings = TEMPLATES[node.template] ?? [];
  return tag.sql(strings, ...inner(node.gaps.slice(0, strings.length - 1)));
}

t.test('texts and values are those of sql-template-tag, however templates are nested', async (t) => {
  await holds(
    t,
    fc.asyncProperty(tree, async (node) => {
      const wanted = build(node, { sql: theirSql, raw: theirRaw, join: theirJoin }) as ours.Sql;
      const made = () => build(node, ours) as ours.Sql;
      for (const { sql, text, values } of [made(), made()]) {
        deepStrictEqual({ sql, text, values }, { sql: wanted.sql, text: wanted.text, values: wanted.values });
      }
    }),
    { numRuns: 2_000 },
  );
});

t.test('a template is one shape whatever its values; another piece in its gap makes another', async (t) => {
  const make = (piece: ours.Sql, value: number) => ours.sql`SELECT ${piece}, ${value}`;
  const [one, other] = [ours.raw('one'), ours.raw('other')];
  t.equal(make(one, 1).shape, make(one, 2).shape);
  t.not(make(one, 1).shape, make(other, 1).shape);
  t.throws(() => ours.join([]), TypeError);
});

t.test('texts without a template are kept only up to a bound, and are right beyond it', async (t) => {
  for (let count = 0; count < 1_000; count += 1) {
    if (ours.raw(`text ${count}`).sql !== `text ${count}`) t.fail(`text ${count}`);
  }
  const { sql, values } = ours.written({ text: 'a ? b', values: [1] });
  t.same({ sql, values }, { sql: 'a ? b', values: [1] });
});

const COLUMNS = [
  { name: 'id', kind: 'id', column: 'ID' },
  { name: 'size', kind: 'plain', column: 'FileSize' },
  { name: 'kept', kind: 'flag', column: 'IsKept' },
] as const;

const plain = ({ sql, values }: ours.Sql) => ({ sql, values });

t.test('a row has its values where its columns are, whatever the order they come in', async (t) => {
  const place = placesOf(COLUMNS);
  const row = rowOf<typeof COLUMNS, { id: string; size: number; kept: boolean }>(COLUMNS, {
    kept: 1,
    size: 5,
    id: 'a',
  });
  t.same(row, ['a', 5, 1]);
  t.same([row[place.id], row[place.size], row[place.kept]], ['a', 5, 1]);
  const columns = selected(COLUMNS, ({ column }) => `f.${column}`);
  t.equal(
    columns(sqliteDialect).sql,
    `${sqliteDialect.hex('f.ID').sql} AS "id", f.FileSize AS "size", f.IsKept AS "kept"`,
  );
  t.equal(columns(sqliteDialect), columns(sqliteDialect), 'made once');
});

t.test('values that come by name get into their columns, in one text', async (t) => {
  const [id, ...others] = COLUMNS;
  const insert = insertInto('files', COLUMNS);
  t.same(plain(insert({ kept: 1, size: 5, id: 'a' })), {
    sql: 'INSERT INTO files (ID, FileSize, IsKept) VALUES (?, ?, ?)',
    values: ['a', 5, 1],
  });
  t.equal(insert({ kept: 1, size: 5, id: 'a' }).shape, insert({ id: 'b', size: 6, kept: 0 }).shape);
  t.same(plain(insert({ kept: 1, size: ours.sql`(SELECT max(Size) FROM t WHERE ID > ${7})`, id: 'a' })), {
    sql: 'INSERT INTO files (ID, FileSize, IsKept) VALUES (?, (SELECT max(Size) FROM t WHERE ID > ?), ?)',
    values: ['a', 7, 1],
  });
  const change = update<'id' | 'size' | 'kept'>('files', others, id);
  t.same(plain(change({ id: 'a', kept: 1, size: 5 })), {
    sql: 'UPDATE files SET FileSize = ?, IsKept = ? WHERE ID = ?',
    values: [5, 1, 'a'],
  });
  t.equal(change({ kept: 1, size: 5, id: 'a' }).shape, change({ id: 'b', size: 6, kept: 0 }).shape);
  t.same(plain(expressions(COLUMNS, 'f', { kept: ours.sql`coalesce(f.IsKept, ${0})` })), {
    sql: 'f.ID, f.FileSize, coalesce(f.IsKept, ?)',
    values: [0],
  });
});
