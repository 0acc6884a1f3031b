/** The mutation tool: which faults it puts into a source, which it leaves out, and what it draws from them. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the sources that are mutated hold templates.
import t from 'tap';
import equivalents from '../scripts/mutate/equivalent.json' with { type: 'json' };
import { editsOf, isEquivalent, mutantOf, mutantsOf, sampleOf } from '../scripts/mutate/mutants.ts';
import { ROOM_NAMES, roomOf, testsFor } from '../scripts/mutate/rooms.ts';

// Before Node.js 26 it warns of the call that strips types.
process.removeAllListeners('warning');

/** The sources that come of the mutations of one, by what was done. */
function mutationsOf(source: string): [operator: string, line: string][] {
  return editsOf(source).flatMap((edit) => {
    const mutant = mutantOf('a.ts', source, edit);
    return mutant === undefined ? [] : [[mutant.operator, mutant.after] as [string, string]];
  });
}

t.test('code is mutated by its operators, conditions, constants, calls and statements', async (t) => {
  const cases: [source: string, mutations: [string, string][]][] = [
    [
      'f(a < b && !c);',
      [
        ['statement', ';'],
        ['comparison', 'f(a <= b && !c);'],
        ['logic', 'f(a < b || !c);'],
        ['negation', 'f(a < b && c);'],
      ],
    ],
    [
      'const x = a === true ? b + 1 : c - 20;',
      [
        ['comparison', 'const x = a !== true ? b + 1 : c - 20;'],
        ['boolean', 'const x = a === false ? b + 1 : c - 20;'],
        ['arithmetic', 'const x = a === true ? b - 1 : c - 20;'],
        ['constant', 'const x = a === true ? b + 0 : c - 20;'],
        ['arithmetic', 'const x = a === true ? b + 1 : c + 20;'],
      ],
    ],
    ['const x = a.b(c) ? d : e;', [['choice', 'const x = !(a.b(c)) ? d : e;']]],
    [
      'if (found) throw a;',
      [
        ['condition', 'if (true) throw a;'],
        ['condition', 'if (false) throw a;'],
      ],
    ],
    [
      'if (found) await f(a, { b });',
      [
        ['condition', 'if (true) await f(a, { b });'],
        ['condition', 'if (false) await f(a, { b });'],
        ['statement', 'if (found) ;'],
      ],
    ],
    ['const x = f(a ?? [b, c], d);', [['default', 'const x = f(a , d);']]],
    [
      'const x = Math.max(a, ...b.filter((c) => c).sort());',
      [
        ['method', 'const x = Math.min(a, ...b.filter((c) => c).sort());'],
        ['call', 'const x = Math.max(a, ...b.sort());'],
        ['call', 'const x = Math.max(a, ...b.filter((c) => c));'],
      ],
    ],
    ['const x = /[/"]"/.test(`a ${b > c} "`);', [['comparison', 'const x = /[/"]"/.test(`a ${b >= c} "`);']]],
  ];
  for (const [source, mutations] of cases) t.same(mutationsOf(source), mutations, source);
});

t.test('SQL is mutated in templates and strings, with its terms whole, holes included', async (t) => {
  const source = 'const x = sql`SELECT a FROM b WHERE c = ${d(1)} AND e > 0 ORDER BY f DESC LIMIT ${g}`;';
  t.same(mutationsOf(source), [
    ['sql term', 'const x = sql`SELECT a FROM b WHERE 1 AND e > 0 ORDER BY f DESC LIMIT ${g}`;'],
    ['sql comparison', 'const x = sql`SELECT a FROM b WHERE c <> ${d(1)} AND e > 0 ORDER BY f DESC LIMIT ${g}`;'],
    ['constant', 'const x = sql`SELECT a FROM b WHERE c = ${d(0)} AND e > 0 ORDER BY f DESC LIMIT ${g}`;'],
    ['sql term', 'const x = sql`SELECT a FROM b WHERE c = ${d(1)} AND 1 ORDER BY f DESC LIMIT ${g}`;'],
    ['sql comparison', 'const x = sql`SELECT a FROM b WHERE c = ${d(1)} AND e >= 0 ORDER BY f DESC LIMIT ${g}`;'],
    ['sql constant', 'const x = sql`SELECT a FROM b WHERE c = ${d(1)} AND e > 1 ORDER BY f DESC LIMIT ${g}`;'],
    ['sql order', 'const x = sql`SELECT a FROM b WHERE c = ${d(1)} AND e > 0 LIMIT ${g}`;'],
    ['sql direction', 'const x = sql`SELECT a FROM b WHERE c = ${d(1)} AND e > 0 ORDER BY f ASC LIMIT ${g}`;'],
    ['sql limit', 'const x = sql`SELECT a FROM b WHERE c = ${d(1)} AND e > 0 ORDER BY f DESC`;'],
  ]);
  t.same(
    mutationsOf("const x = 'UPDATE a SET b = 2 WHERE c IS NULL';"),
    [
      ['sql constant', "const x = 'UPDATE a SET b = 3 WHERE c IS NULL';"],
      ['sql term', "const x = 'UPDATE a SET b = 2 WHERE 1';"],
      ['sql null', "const x = 'UPDATE a SET b = 2 WHERE c IS NOT NULL';"],
    ],
    'what is set is no comparison',
  );
});

t.test('types, comments, messages and what cannot be parsed are left alone', async (t) => {
  const quiet = [
    'interface A { readonly b?: true; c(): Map<string, 1>; }',
    '// if (a < b) f();\n/* a + 1 */',
    'throw new Error(`${a} is > what b and c may be`);',
    'import { a } from "./b.ts";',
    'const large = 64;',
  ];
  for (const source of quiet) t.same(mutationsOf(source), [], source);
});

t.test('a seed draws the same mutants again; the namesakes of a file are its first tests', async (t) => {
  const items = Array.from({ length: 50 }, (_, item) => item);
  t.same(sampleOf(items, 7, 3), sampleOf(items, 7, 3));
  t.not(String(sampleOf(items, 7, 3)), String(sampleOf(items, 7, 4)));
  t.same(sampleOf(items, 99, 3), items);
  t.same(testsFor('lib/core/retention.ts', ['quota', 'retention', 'search']), ['retention', 'quota', 'search']);
  t.equal(roomOf('attic', '.'), undefined);
  for (const name of ROOM_NAMES) t.ok((roomOf(name, '.')?.files.length ?? 0) > 5, `${name} has files`);
});

t.test('each mutation that is listed as equivalent is one that the tool makes', async (t) => {
  const mutants = mutantsOf('.', [...new Set(equivalents.map(({ file }) => file))]);
  const unknown = equivalents.filter((entry) => !mutants.some((mutant) => isEquivalent(mutant, [entry])));
  t.same(unknown, [], 'none is out of date');
  t.ok(mutants.some((mutant) => !isEquivalent(mutant, equivalents)));
});
