/** The parts of the command line that processes cannot be made to show at will: races with other writers, orders, words. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { link, rename, stat, symlink, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { catalogueFiles } from '../bin/catalogue-files.ts';
import { bar, sparkline } from '../bin/charts.ts';
import {
  formatBytes,
  formatCrc,
  formatDate,
  formatDuration,
  formatNumberOf,
  parseBytes,
  printable,
  withReadableSizes,
} from '../bin/format.ts';
import { mapInOrder, take } from '../bin/iterate.ts';
import { canonical, escapeBytes, formsOf, hasForms, likeness } from '../bin/names.ts';
import { readContent } from '../bin/read-content.ts';
import { table } from '../bin/table.ts';
import { typedHint } from '../bin/typed-names.ts';
import { countFiles, walk } from '../bin/walk.ts';
import { assertRoom } from '../lib/runtime/disk-space.ts';
import { execute } from './cli-run.ts';
import { holds } from './fixtures/property.ts';

const isCatalogue = () => false;

t.test('a file that changes while it is read is read again, once', async (t) => {
  const path = join(t.testdir({ file: 'first' }), 'file');
  let reads = 0;
  const changeOnce = () => {
    reads += 1;
    if (reads === 1) writeFileSync(path, 'second, longer');
  };
  const content = await readContent(path, { isCatalogue, onRead: changeOnce });
  t.match(content, { kind: 'content', size: 14, crc: crc32('second, longer') });
  const changeAlways = () => appendFileSync(path, 'x');
  const taken = await readContent(path, { isCatalogue, onRead: changeAlways });
  t.match(taken, {
    kind: 'content',
    warnings: [/^it changed twice while it was being read; its size and CRC-32 are those/],
  });
  const { size, crc } = taken as { size: number; crc: number };
  t.equal(crc, crc32(readFileSync(path).subarray(0, size)), 'of what was read');
});

t.test('a file that grows as fast as it is read is read to the size that it had', async (t) => {
  const path = join(t.testdir({ log: 'x'.repeat(1_000_000) }), 'log');
  let reads = 0;
  const grow = (bytes: number) => {
    reads += 1;
    appendFileSync(path, Buffer.alloc(bytes + 1, 'y'));
  };
  t.match(await readContent(path, { isCatalogue, onRead: grow }), { kind: 'content', warnings: { length: 1 } });
  t.ok(reads < 20, `${reads} pieces`);
});

t.test('a date that cannot be stored is left out, with a warning', async (t) => {
  // Of file systems that keep such dates, this is there on every Linux.
  const folder = existsSync('/dev/shm') ? mkdtempSync('/dev/shm/catalogue-') : t.testdir();
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'file');
  for (const [seconds, modified] of [
    [253402300799, '9999-12-31T23:59:59.000Z'],
    [-62167219200, '0000-01-01T00:00:00.000Z'],
    [253402300800, null],
    [-62167219201, null],
    [9_000_000_000_000, null],
  ] as const) {
    writeFileSync(path, 'old');
    await execute('touch', ['--date', `@${seconds}`, path]);
    if (Math.round((await stat(path)).mtimeMs / 1000) !== seconds)
      t.comment(`this file system keeps no date of ${seconds} s`);
    else {
      const message = `its modification date (${seconds} s since 1970) is outside the years 0 to 9999 and was omitted`;
      t.same(await readContent(path, { isCatalogue }), {
        ...{ kind: 'content', size: 3, crc: crc32('old') },
        modified: modified === null ? null : new Date(modified),
        warnings: modified === null ? [message] : [],
      });
    }
  }
});

t.test('what is recorded is what was read, also where the size is no size', async (t) => {
  t.match(await readContent('/proc/self/status', { isCatalogue }), { kind: 'content', size: Number });
  const { size } = (await readContent('/proc/self/status', { isCatalogue })) as { size: number };
  t.ok(size > 0);
  t.match(await readContent('/dev/null', { isCatalogue }), { kind: 'special' });
});

t.test('a file that went away, or became another thing, is told', async (t) => {
  const dir = t.testdir({ target: 'x' });
  t.same(await readContent(join(dir, 'gone'), { isCatalogue }), {
    kind: 'unreadable',
    message: 'no such file or directory (ENOENT)',
  });
  await symlink('target', join(dir, 'link'));
  t.same(await readContent(join(dir, 'link'), { isCatalogue }), { kind: 'symlink' });
  t.same(await readContent(join(dir, 'target'), { isCatalogue: () => true }), { kind: 'catalogue' });
});

t.test('the catalogue’s files are known before they exist, and under other names', async (t) => {
  const dir = t.testdir({ folder: { 'c.db': 'x' } });
  const own = await catalogueFiles(join(dir, 'folder', 'c.db'), dir);
  for (const name of ['c.db', 'c.db-wal', 'c.db-shm', 'c.db-journal']) t.ok(own.hasPath(`folder/${name}`));
  t.notOk(own.hasPath('c.db'));
  await link(join(dir, 'folder', 'c.db'), join(dir, 'other'));
  t.ok(own.hasInode(await stat(join(dir, 'other'), { bigint: true })));
  await t.rejects(catalogueFiles(join(dir, 'folder', 'c.db', 'x'), dir), { code: 'ENOTDIR' });
});

t.test('a stop does not wait for the end of a large file', async (t) => {
  const path = join(t.testdir({ large: '' }), 'large');
  await truncate(path, 2 ** 42); // takes no room on the disk, and hours to read
  const controller = new AbortController();
  const stop = () => controller.abort();
  t.same(await readContent(path, { isCatalogue, signal: controller.signal, onRead: stop }), { kind: 'stopped' });
});

t.test('the walk tells everything once, in the byte order of the names, files before folders', async (t) => {
  const dir = t.testdir({ b: '', a: { z: '', a: { x: '' } }, B: '', é: '', c: {} });
  const found: string[] = [];
  for await (const item of walk(dir)) found.push('relative' in item ? item.relative : item.kind);
  t.same(found, ['B', 'b', 'é', 'a/z', 'a/a/x']);
  const counts: number[] = [];
  t.equal(await countFiles(dir, undefined, (count) => counts.push(count)), 5);
  t.same(counts, [1, 2, 3, 4, 5]);
});

t.test('the walk goes on where a folder went away, and stops when it is asked to', async (t) => {
  const dir = t.testdir({ a: { inside: '' }, b: { inside: '' } });
  const found: unknown[] = [];
  for await (const item of walk(dir)) {
    found.push(item);
    if (found.length === 1) await rename(join(dir, 'b'), join(dir, 'moved'));
  }
  t.match(found, [
    { relative: 'a/inside' },
    { kind: 'unreadable', path: join(dir, 'b'), message: 'no such file or directory (ENOENT)' },
  ]);
  const controller = new AbortController();
  for await (const _ of walk(dir, controller.signal)) controller.abort();
  t.equal(await countFiles(dir, controller.signal), 0);
});

t.test('mapInOrder: every result, in order, and never more than `width` at work', async (t) => {
  const delays = fc.array(fc.nat({ max: 5 }), { maxLength: 40 });
  await holds(
    t,
    fc.asyncProperty(delays, fc.integer({ min: 1, max: 8 }), async (turns, width) => {
      let working = 0;
      let most = 0;
      const map = async (count: number) => {
        most = Math.max(most, ++working);
        for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
        working -= 1;
        return count;
      };
      async function* source() {
        yield* turns;
      }
      const results: number[] = [];
      for await (const result of mapInOrder(source(), width, map)) results.push(result);
      t.strictSame(results, turns);
      if (most > width) throw new Error(`${most} at work`);
    }),
    { numRuns: 50 },
  );
});

t.test('mapInOrder: whoever leaves early or fails waits for what is at work', async (t) => {
  let working = 0;
  const map = async (item: number) => {
    working += 1;
    await new Promise(setImmediate);
    working -= 1;
    if (item === 2) throw new Error('two');
    return item;
  };
  async function* numbers() {
    yield* [1, 2, 3, 4, 5];
  }
  for await (const _ of mapInOrder(numbers(), 3, map)) break;
  t.equal(working, 0);
  await t.rejects(Array.fromAsync(mapInOrder(numbers(), 3, map)), { message: 'two' });
  t.equal(working, 0);
});

t.test('take: a stream in pieces that lose nothing', async (t) => {
  async function* numbers() {
    yield* [1, 2, 3];
  }
  const source = numbers();
  t.same(await Array.fromAsync(take(source, 2)), [1, 2]);
  t.same(await Array.fromAsync(take(source, 2)), [3]);
  t.same(await Array.fromAsync(take(source, 2)), []);
});

t.test('figures and names as people read them', async (t) => {
  t.same([0, 1023, 1024, 1536, 2 ** 30, 2 ** 53 - 1].map(formatBytes), [
    ...['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '1.0 GiB', '8.0 PiB'],
  ]);
  t.equal(formatBytes(null), '-');
  t.equal(formatCrc(0xf), '0000000f');
  t.equal(formatCrc(null), '-');
  t.match(formatDate('2020-02-29T12:34:56.789Z'), /^2020-0[23]-\d\d \d\d:\d\d:56$/);
  t.equal(formatDate(null), '-');
  t.same(
    [1, 2000].map((count) => formatNumberOf(count, 'file')),
    ['1 file', '2,000 files'],
  );
  t.same([1, 61_000, 600_000, 2 ** 24].map(formatDuration), ['1 s', '61 s', '10 min', '4 h 40 min']);
  t.equal(printable('a\tb\r\n\u0000\u009b\u202e\u2028c'), 'a\\tb\\r\\n\\x00\\x9b\\u202e\\u2028c');
  t.same(['0', '1048576', '1.5KiB', '2 M', '3gb', '1e3', '-1', 'x', '9P', '9007199254740991'].map(parseBytes), [
    0,
    1048576,
    1536,
    2 * 1024 ** 2,
    3 * 1024 ** 3,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

t.test('a table aligns what a terminal shows', async (t) => {
  const columns = [{ title: 'N', align: 'right' as const }, { title: 'NAME' }, { title: 'LAST' }];
  const rows = [
    ['1', '漢字', 'x'],
    ['100', 'e\u0301', ''],
  ];
  t.equal(table(columns, rows), '  N  NAME  LAST\n  1  漢字  x\n100  e\u0301');
});

t.test('a bar is as wide as asked for, and shows everything that is there while there is room', async (t) => {
  t.equal(bar(8, [{ part: 0.5, cell: '█' }, { part: 0.25, cell: '▒' }]), '████▒▒░░'); // biome-ignore format: one line
  t.equal(bar(4, [{ part: 0.001, cell: '█' }]), '█░░░');
  t.equal(bar(4, [{ part: 7, cell: '█' }, { part: 1, cell: '▒' }]), '████'); // biome-ignore format: one line
  t.equal(bar(4, []), '░░░░');
  const part = fc.double({ min: 0, max: 3, noNaN: true });
  await holds(
    t,
    fc.property(fc.nat(60), part, part, (width, first, second) => {
      const drawn = [...bar(width, [{ part: first, cell: '1' }, { part: second, cell: '2' }])]; // biome-ignore format: one line
      const [ones, twos] = ['1', '2'].map((cell) => drawn.filter((found) => found === cell).length);
      const room = width - (ones ?? 0);
      t.equal(drawn.length, width);
      t.equal(ones, Math.min(width, Math.ceil(first * width)));
      t.equal(twos, Math.min(room, Math.ceil(second * width)));
    }),
  );
});

t.test(
  'a sparkline has a column for each value, the lowest for nothing alone and the highest for the largest',
  async (t) => {
    t.equal(sparkline([0, 1, 50, 100]), '▁▂▅█');
    t.equal(sparkline([0, 0]), '▁▁');
    t.equal(sparkline([]), '');
    await holds(
      t,
      fc.property(fc.array(fc.nat(Number.MAX_SAFE_INTEGER), { minLength: 1 }), (values) => {
        const columns = [...sparkline(values)];
        const largest = Math.max(...values);
        t.same(
          columns.map((column) => column === '▁'),
          values.map((value) => value === 0),
        );
        t.ok(largest === 0 || values.every((value, place) => value !== largest || columns[place] === '█'));
        const order = values.toSorted((a, b) => a - b).map((value) => columns[values.indexOf(value)] ?? '');
        t.same(order, order.toSorted(), 'the higher the value, the higher the column');
      }),
    );
  },
);

t.test('a name that is no text is shown byte by byte, and no two such names alike', async (t) => {
  const shown = (bytes: readonly number[]) => escapeBytes(Buffer.from(bytes));
  t.equal(shown([0x61, 0xff, 0x62]), 'a\\xffb');
  t.equal(shown([0xc3]), '\\xc3', 'a character that is cut off');
  t.equal(shown([0xe2, 0x82, 0xac, 0x80]), '€\\x80');
  t.equal(shown([0xed, 0xa0, 0x80]), '\\xed\\xa0\\x80', 'half a pair of UTF-16');
  t.equal(shown([0xff, 0x5c, 0x78, 0x66, 0x66]), '\\xff\\\\xff', 'a backslash of its own');
  const name = fc.uint8Array({ minLength: 1, maxLength: 8 });
  await holds(
    t,
    fc.property(name, name, (one, other) => {
      const [a, b] = [Buffer.from(one), Buffer.from(other)];
      t.equal(escapeBytes(a) === escapeBytes(b), a.equals(b));
    }),
  );
});

t.test('names that look alike', (t) => {
  const [composed, decomposed] = ['\u00e9t\u00e9', 'e\u0301te\u0301'];
  t.equal(canonical(composed), canonical(decomposed));
  t.not(canonical('\ufb01'), canonical('fi'), 'compatible is not equal');
  t.same(formsOf(composed), [composed, decomposed]);
  t.same(formsOf('plain'), ['plain']);
  t.same([composed, decomposed, '\u212a', 'plain', '漢字'].map(hasForms), [true, true, true, false, false]);
  for (const other of ['LAPTOP', ' lap top', 'lap\u00a0top', '\uff2c\uff21\uff30top']) {
    t.equal(likeness(other), likeness('laptop'), other);
  }
  t.not(likeness('laptop2'), likeness('laptop'));
  t.end();
});

t.test('sizes in messages of the library, and hints, in the words of the command line', async (t) => {
  const noRoom = assertRoom('/x', 21_951_283.2, 'the copy', async () => 1_000).catch(({ message }) => message);
  t.equal(await noRoom, 'the copy needs 21951284 bytes in /x, and 1000 are free', 'whole bytes in the library');
  t.equal(withReadableSizes(await noRoom), 'the copy needs 20.9 MiB in /x, and 1000 B are free');
  t.equal(
    withReadableSizes('2048 bytes do not fit: 21951284 of 1073741824 bytes are used and 5 reserved'),
    '2.0 KiB do not fit: 20.9 MiB of 1.0 GiB are used and 5 B reserved',
  );
  t.equal(
    withReadableSizes('it needs 21951284 bytes in /x, and 0 are free'),
    'it needs 20.9 MiB in /x, and 0 B are free',
  );
  t.equal(withReadableSizes('grew from 1024 to 2048 bytes in 3 days'), 'grew from 1.0 KiB to 2.0 KiB in 3 days');
  const hints: [string, string][] = [
    ['Try again, or raise busyTimeoutMs.', 'Try again.'],
    ['Slow down: raise thresholds.checkMs. No harm is done.', 'Slow down. No harm is done.'],
    ["Run it (CLI: `migrate`), or open with migrate: 'auto'.", 'Run it (`backup-catalog migrate`).'],
    ['Prove one (`backups.drill`, CLI: `backups --drill`).', 'Prove one (`backup-catalog backups --drill`).'],
    ['Look into backupDir, or use allowMissingManifest.', 'Look into --backup-dir, or use --allow-missing-manifest.'],
    [
      'The state before is in /srv/readOnly/x.db; look there.',
      'The state before is in /srv/readOnly/x.db; look there.',
    ],
  ];
  const names = new Map([['allowMissingManifest', '--allow-missing-manifest']]);
  for (const [hint, typed] of hints) t.equal(typedHint(hint, names), typed);
});
