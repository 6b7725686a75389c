/** What the spread needs of a task. */
export interface SpreadableTask {
  readonly estimatedRawBytes: number;
}

/**
 * Gives out tasks so that what runs at one time is spread over relations: several sessions that fill one table wait for one another whenever it grows. A relation has as many tasks running as its share of what is left deserves (the highest averages of D'Hondt), so one
 * that is most of the database still gets most of the workers.
 *
 * `groupOf` names the relation of a task, null for one that shares with nobody. Within a relation tasks keep their order. Iterated once; `release` tells that a task
 * which was given out has ended, however. Cost: a step for each relation at each task.
 */
export class Spread<Task extends SpreadableTask> implements Iterable<Task> {
  readonly #groups: Group<Task>[] = [];
  readonly #groupOfTask = new Map<Task, Group<Task>>();

  constructor(tasks: readonly Task[], groupOf: (task: Task) => number | null) {
    const byKey = new Map<number, Group<Task>>();
    for (const task of tasks) {
      const key = groupOf(task);
      let group = key === null ? undefined : byKey.get(key);
      if (group === undefined) {
        group = { waiting: [], next: 0, bytesLeft: 0, runningCount: 0 };
        this.#groups.push(group);
        if (key !== null) byKey.set(key, group);
      }
      group.waiting.push(task);
      group.bytesLeft += task.estimatedRawBytes;
      this.#groupOfTask.set(task, group);
    }
  }

  *[Symbol.iterator](): Iterator<Task> {
    for (let group = this.#choose(); group !== undefined; group = this.#choose()) {
      const task = group.waiting[group.next];
      if (task === undefined) return;
      group.next += 1;
      group.bytesLeft -= task.estimatedRawBytes;
      group.runningCount += 1;
      yield task;
    }
  }

  release(task: Task): void {
    const group = this.#groupOfTask.get(task);
    if (group !== undefined) group.runningCount -= 1;
    this.#groupOfTask.delete(task);
  }

  /** Of equals the first one, as the tasks were given. */
  #choose(): Group<Task> | undefined {
    let best: Group<Task> | undefined;
    let bestAverage = -1;
    for (const group of this.#groups) {
      if (group.next === group.waiting.length) continue;
      const average = group.bytesLeft / (group.runningCount + 1);
      if (average > bestAverage) {
        best = group;
        bestAverage = average;
      }
    }
    return best;
  }
}

interface Group<Task> {
  readonly waiting: Task[];
  /** Index of the next one in `waiting`. */
  next: number;
  /** Of those that wait. */
  bytesLeft: number;
  runningCount: number;
}
