/** SQL templates: the texts of `sql-template-tag`, made once. */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import theirSql, { join as theirJoin, raw as theirRaw } from 'sql-template-tag';
import t from 'tap';
import * as ours from '../lib/sql/template.ts';
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
