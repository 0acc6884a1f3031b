/** Two tools for streams of items: several at work at once in order, and a stream in pieces. */

/**
 * Maps a stream, at most `width` items at once; the results come in the order of the items. `map` must not reject
 * for what is to be expected: a rejection ends the stream.
 */
export async function* mapInOrder<In, Out>(
  source: AsyncIterable<In>,
  width: number,
  map: (item: In) => Promise<Out>,
): AsyncGenerator<Out, void, undefined> {
  const underWay: Promise<Out>[] = [];
  try {
    for await (const item of source) {
      underWay.push(map(item));
      const [first] = underWay;
      if (first === undefined || underWay.length < width) continue;
      yield await first;
      underWay.shift();
    }
    for (const result of underWay) yield await result;
  } finally {
    await Promise.allSettled(underWay);
  }
}

/** The next items of a stream, at most `most`; the stream stays open for more. */
export async function* take<Item>(source: AsyncIterator<Item>, most: number): AsyncGenerator<Item, void, undefined> {
  for (let taken = 0; taken < most; taken += 1) {
    const next = await source.next();
    if (next.done) return;
    yield next.value;
  }
}
