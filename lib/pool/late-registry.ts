/**
 * A registry that loads more modules when a call names a procedure it does not hold: rarely used procedures must not
 * slow the start of every thread. Loading is synchronous, because calls are.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { createRegistry, type Procedure, type Registry } from '../sql/procedure.ts';

const require = createRequire(import.meta.url);

/** Procedures by name, some of them loaded late. */
export class LateRegistry extends Map<string, Procedure<never, unknown>> {
  #modules: readonly string[];

  /** Modules are given as URLs of files. */
  constructor(registry: Registry, modules: readonly string[] = []) {
    super(registry);
    this.#modules = modules;
  }

  override get(name: string): Procedure<never, unknown> | undefined {
    const found = super.get(name);
    if (found !== undefined || this.#modules.length === 0) return found;
    const loaded: object[] = this.#modules.map((url) => require(fileURLToPath(url)));
    this.#modules = [];
    for (const [key, late] of createRegistry(loaded)) this.set(key, late);
    return super.get(name);
  }
}
